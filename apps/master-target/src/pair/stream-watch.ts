// SPDX-License-Identifier: Apache-2.0
import { bytesOf, decodeMarker, type StreamMarker, type VerifiedChangeSet } from '@secondsite/change-set';
import type { SetFacts } from '@secondsite/retention-journal';
import type { PairEvent, PairStage, StreamPlace } from './pair-types';

/** Sees markers twice, when a set is received and when it is applied, and tells stage and events from them. */
export class StreamWatch {
  readonly #emit: (event: PairEvent) => void;
  #green: boolean;
  #everythingRead = false;

  constructor({ green, emit }: { readonly green: boolean; readonly emit: (event: PairEvent) => void }) {
    this.#green = green;
    this.#emit = emit;
  }

  /** Step 2 begins when the end of reading was received and is not applied yet. */
  stage(green: boolean): PairStage {
    if (green) return 'differential-sync';
    return this.#everythingRead ? 'resync-step-2' : 'resync-step-1';
  }

  received(markers: readonly StreamMarker[], { epoch, sequence }: StreamPlace): void {
    for (const marker of markers) {
      if (marker.kind === 'resync-read') {
        this.#everythingRead = true;
        this.#emit({ kind: 'resync-read', epoch, sequence });
      } else if (marker.kind === 'resync-started' || marker.kind === 'epoch-started') this.#everythingRead = false;
    }
  }

  applied(set: VerifiedChangeSet, facts: SetFacts, volumeBytes: number): void {
    const { epoch, sequence } = facts;
    for (const marker of streamMarkersOf(set)) {
      const starts = marker.kind === 'resync-started' || (marker.kind === 'epoch-started' && marker.reason !== 'none');
      if (starts) this.#emit({ kind: 'resync-started', epoch, sequence, reason: marker.reason, resyncBytes: marker.resyncBytes, volumeBytes });
    }
    for (const step of facts.steps) {
      if (step.kind === 'bookmark') {
        const { kind: _, ...bookmark } = step;
        this.#emit({ kind: 'bookmark-applied', epoch, sequence, bookmark });
        continue;
      }
      if (step.kind === 'green' && !this.#green) this.#emit({ kind: 'differential-sync-reached', epoch, sequence, coveredTime: facts.lastTime });
      this.#green = step.kind === 'green';
      if (this.#green) this.#everythingRead = false;
    }
  }
}

export function streamMarkersOf(set: VerifiedChangeSet): StreamMarker[] {
  const markers = set.entries().filter((entry) => entry.kind === 'marker');
  return markers.map((entry) => decodeMarker(bytesOf(entry, set.data))).filter((marker) => marker !== undefined);
}
