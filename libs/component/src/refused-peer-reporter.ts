// SPDX-License-Identifier: Apache-2.0
import { type DataPlaneRole, peerRefusedV1 } from '@secondsite/contracts';
import type { RefusedPeer } from '@secondsite/transport';
import type { EventOutlet } from './cluster-member';

const reportAgainMillis = 10_000;
const reasonCharactersMax = 500;

/** Publishes peers that were turned away; each kind of refusal at most every ten seconds, because anybody can cause them. */
export function refusedPeerReporter(
  { role, outlet }: { readonly role: DataPlaneRole; readonly outlet: EventOutlet }, nowMillis: () => number = () => performance.now(),
): (refused: RefusedPeer) => void {
  const reported = new Map<string, number>();
  return ({ code, detail, remoteAddress }) => {
    const now = nowMillis();
    if (now - (reported.get(code) ?? -Infinity) < reportAgainMillis) return;
    reported.set(code, now);
    const { events, componentId } = outlet;
    outlet.publish(events.make(peerRefusedV1, { componentId, role, code, reason: detail.slice(0, reasonCharactersMax), remoteAddress }), 'peer-refused');
  };
}
