// SPDX-License-Identifier: Apache-2.0
// Which blocks of a pair's change sets go to the target as references (ADR 24). Invariant: what is believed of the target decides only how often a set
// goes out, never what is stored there. Memory: what was sent and is not applied yet, of at most so many sets.
import { HEADER_BYTES } from '@secondsite/change-set';
import { BLOCKS_MISSING, type PutOutcome, type Refusal } from '@secondsite/transport';
import { type ByteCount, KIB } from '@secondsite/units';
import { decodeReferences, type KnownBlocks, type ReferredSet, type ReferringSet } from '@secondsite/wan-deduplication';
import { counters } from '../control/counters';
import { isAfter, type StreamPlace } from '../spool/pair-state';

/** Looks for what a target has already; `isWanted`: else only fingerprints are made, to be learned. `bytes` are only read. */
export type Refer = (bytes: Uint8Array, options: { readonly target: string; readonly isWanted: boolean }) => Promise<ReferredSet>;

export interface PairDeduplicatorOptions {
  readonly target: string;
  readonly known: KnownBlocks;
  readonly refer: Refer;
  /** Up to here the target has applied everything. */
  readonly applied: () => StreamPlace;
  /** Sets that hold less are sent as they are; default 16 KiB: the way through the other thread would take longer than the way over the link. */
  readonly setBytesMin?: ByteCount | undefined;
}

const UNAPPLIED_SETS_MAX = 256;
const SKIPPED_SETS_MAX = 64;

export class PairDeduplicator {
  readonly #options: PairDeduplicatorOptions;
  /** Sets that the target has and has not said to be applied. */
  #unapplied: { readonly place: StreamPlace; readonly fingerprints: ReferredSet['fingerprints'] }[] = [];
  /** So many sets go out without references; how many do after the next failure. */
  #skip = 0;
  #skipNext = 1;

  constructor(options: PairDeduplicatorOptions) {
    this.#options = options;
  }

  /** Undefined: the set is too small to be looked at. */
  async refer({ content }: { readonly content: Uint8Array }): Promise<ReferredSet | undefined> {
    const { refer, target, setBytesMin = 16 * KIB } = this.#options;
    if (content.length < HEADER_BYTES + setBytesMin) return undefined;
    this.#learnApplied();
    const isWanted = this.#skip === 0;
    if (!isWanted) this.#skip -= 1;
    return refer(content, { target, isWanted });
  }

  /** The target has the set durably. */
  stored({ epoch, sequence }: StreamPlace, { referred, byReference }: { readonly referred: ReferredSet; readonly byReference: boolean }): void {
    if (byReference) this.#skipNext = 1;
    this.#unapplied = [...this.#unapplied, { place: { epoch, sequence }, fingerprints: referred.fingerprints }].slice(-UNAPPLIED_SETS_MAX);
  }

  /** The target could not take the set from its references. Where that goes on, fewer and fewer sets have any. */
  unresolved({ references }: ReferringSet, { missingBlocks = [] }: Pick<Refusal, 'missingBlocks'>): void {
    counters.unresolvedSets.add(1);
    const all = decodeReferences(references);
    for (const index of missingBlocks) {
      const reference = all[index];
      if (reference) this.#options.known.forget(reference.fingerprint);
    }
    this.#skip = this.#skipNext;
    this.#skipNext = Math.min(SKIPPED_SETS_MAX, 2 * this.#skipNext);
  }

  /** Only what is in a replica can be referred to. */
  #learnApplied(): void {
    const applied = this.#options.applied();
    const isApplied = ({ place }: { readonly place: StreamPlace }): boolean => !isAfter(place, applied);
    for (const { fingerprints } of this.#unapplied.filter(isApplied)) this.#options.known.learn(fingerprints);
    this.#unapplied = this.#unapplied.filter((set) => !isApplied(set));
  }
}

/** The target does not have what the set refers to, or got it damaged, or does not know references at all. */
export function wantsWholeSet(outcome: PutOutcome): outcome is PutOutcome & { readonly kind: 'refused' } {
  return outcome.kind === 'refused' && (outcome.code === BLOCKS_MISSING || outcome.status === 422);
}
