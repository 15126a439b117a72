// SPDX-License-Identifier: Apache-2.0
import type { RefusedPeer } from '@secondsite/transport';
import type { FactReporter } from './control-plane';

const reportAgainMillis = 10_000;

/** Reports peers that were turned away; each kind of refusal at most every ten seconds, because anybody can cause them. */
export function refusedPeerReporter(reporter: FactReporter, nowMillis: () => number): (refused: RefusedPeer) => void {
  const reported = new Map<string, number>();
  return ({ code, detail, remoteAddress }) => {
    const now = nowMillis();
    if (now - (reported.get(code) ?? -Infinity) < reportAgainMillis) return;
    reported.set(code, now);
    reporter.report({ kind: 'peer-refused', code, reason: detail, remoteAddress });
  };
}
