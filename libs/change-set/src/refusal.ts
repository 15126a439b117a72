// SPDX-License-Identifier: Apache-2.0
/** Why bytes are not a change set. `truncated` and `corrupt`: damaged on the way; the others: whoever sealed it was wrong. */
export type ChangeSetFault =
  | 'change-set/truncated'
  | 'change-set/not-a-change-set'
  | 'change-set/unknown-version'
  | 'change-set/corrupt'
  | 'change-set/malformed'
  | 'change-set/compressed';

/** An expected outcome of reading foreign bytes. `detail` names positions and numbers, never content. */
export interface Refusal {
  readonly ok: false;
  readonly code: ChangeSetFault;
  readonly detail: string;
}

export function refusal(code: ChangeSetFault, detail: string): Refusal {
  return { ok: false, code, detail };
}
