// SPDX-License-Identifier: Apache-2.0
import type { ResyncReason } from '@secondsite/change-set';
import type { ResyncCause } from '@secondsite/contracts';
import type { WriteIntentBitmap } from '@secondsite/write-intent-bitmap';

/** Why the stream takes no writes now. */
export type Interruption = { readonly kind: 'bitmap-mode' } | { readonly kind: 'tap-lost' } | NewEpoch;

/** Why regions are read again; `detail`: what whoever noticed it said. */
export interface WhyResync {
  readonly cause: ResyncCause;
  readonly detail?: string;
}

/** The stream cannot go on where it was: what is marked is read again in a new epoch. `to-mark`: first everything is marked. */
export interface NewEpoch extends WhyResync {
  readonly kind: 'new-epoch';
  step: 'to-mark' | 'marking' | 'to-raise' | 'raising' | 'raised';
}

/** Details of `bitmap-lost`. */
export const marksLost = 'its disk takes no marks, and writes go on without';
export const bitmapBehind = 'it is older than what the process server has of the pair';

/** Where a pair starts: with what was left over, or with what is marked. `causes`: the first that is known counts, before those that the bitmap knows. */
export function firstEpoch(bitmap: WriteIntentBitmap, causes: readonly (ResyncCause | undefined)[]): NewEpoch {
  const { clean, grownFrom } = bitmap.recovery;
  const known = causes.find((cause) => cause !== undefined);
  return { kind: 'new-epoch', cause: known ?? (grownFrom !== undefined ? 'volume-grown' : clean ? 'clean-start' : 'agent-crash'), step: 'to-raise' };
}

/** The cause as the stream's markers have it. */
export const markerReason: Readonly<Record<ResyncCause, Exclude<ResyncReason, 'none'>>> = {
  baseline: 'baseline', 'clean-start': 'agent-crash', 'agent-crash': 'agent-crash', 'bitmap-mode': 'bitmap-mode', 'tap-interrupted': 'tap-interrupted',
  'stream-broken': 'stream-broken', 'replica-lost': 'replica-lost', 'bitmap-lost': 'bitmap-lost', requested: 'target-request',
  'volume-grown': 'volume-grown',
};
