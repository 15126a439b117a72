// SPDX-License-Identifier: Apache-2.0
import { chooseCongestionControl } from '@secondsite/direct-socket';
import type { Socket } from 'node:net';

/** A handshake that takes longer goes to another site. */
const NEAR_MILLIS_MAX = 5;
const ownMachine = /^(?:127\.|::1$|::ffff:127\.)/;

/**
 * Chooses the congestion control of a connection that is being made, when it is there. Where the system does not have what suits, it stays what
 * the system chooses.
 */
export function suitCongestionControl(connecting: Socket): void {
  const started = performance.now();
  connecting.once('connect', () => {
    const wanted = suitable({ remoteAddress: connecting.remoteAddress ?? '', handshakeMillis: performance.now() - started });
    wanted.some((name) => chooseCongestionControl(connecting, name));
  });
}

/**
 * In order of preference. Far away BBR: a lost packet does not slow it down, as it does CUBIC, which carries 2 Mbit/s a connection at 80 ms and
 * 1 % loss. On the machine itself never BBR: its pacing halves what a connection carries (1.4 instead of 2.5 GB/s, at nearly twice the
 * processor time).
 */
export function suitable({ remoteAddress, handshakeMillis }: { readonly remoteAddress: string; readonly handshakeMillis: number }): readonly string[] {
  if (ownMachine.test(remoteAddress)) return ['cubic', 'reno'];
  return handshakeMillis > NEAR_MILLIS_MAX ? ['bbr'] : [];
}
