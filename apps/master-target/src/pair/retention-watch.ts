// SPDX-License-Identifier: Apache-2.0
// How the journal stands against what was promised: window, size, growth, and when it is full. Tells once when points of the promised window had to go
// because space ran out.
import { fullDetailMicros, type RetentionLimits } from '@secondsite/retention-journal';
import type { ByteCount, TimeMicros } from '@secondsite/units';

export type SpaceCause = 'space-limit' | 'disk-full';

/** What is seen at one moment. */
export interface JournalSight {
  /** Clock of this machine. */
  readonly at: TimeMicros;
  readonly journalBytes: ByteCount;
  /** Newest applied instant, and the oldest point; undefined while there is none. */
  readonly coveredTime: TimeMicros;
  readonly earliestPoint: TimeMicros | undefined;
  /** Up to here points of the window were dropped for want of space (see RetentionJournal.spaceFloor). */
  readonly spaceFloor: TimeMicros;
  /** By the plan, and by what is free on the disk. */
  readonly limits: RetentionLimits;
  readonly diskBytes: ByteCount;
}

export interface RetentionStanding {
  readonly promisedMicros: TimeMicros;
  readonly availableMicros: TimeMicros;
  readonly limitBytes: ByteCount | undefined;
  readonly growthBytesPerSecond: number | undefined;
  readonly fullSeconds: number | undefined;
  readonly shortenedBy: SpaceCause | undefined;
}

interface Sample {
  readonly at: TimeMicros;
  readonly bytes: ByteCount;
}

const SAMPLE_MICROS = 10e6;
const SAMPLES = 60;
/** Growth of a shorter time says little. */
const GROWTH_MICROS_MIN = 30e6;

export type ShortenedStanding = RetentionStanding & { readonly shortenedBy: SpaceCause };

export class RetentionWatch {
  readonly #onShortened: (standing: ShortenedStanding) => void;
  #samples: Sample[] = [];
  #told = false;

  constructor(onShortened: (standing: ShortenedStanding) => void) {
    this.#onShortened = onShortened;
  }

  /** Call it about once a second. */
  observe(sight: JournalSight): RetentionStanding {
    this.#sample(sight);
    const { limits, coveredTime, earliestPoint, journalBytes } = sight;
    const promisedMicros = limits.windowMicros;
    const availableMicros = earliestPoint === undefined ? 0 : Math.max(0, coveredTime - earliestPoint);
    const limit = Math.min(limits.spaceBytes ?? Infinity, sight.diskBytes);
    const growth = this.#growth(sight);
    const shortenedBy = causeOf(sight);
    const standing = {
      promisedMicros, availableMicros, shortenedBy,
      limitBytes: limit === Infinity ? undefined : Math.max(0, Math.floor(limit)),
      growthBytesPerSecond: growth,
      fullSeconds: secondsUntilFull({ roomBytes: limit - journalBytes, growth, limits, availableMicros }),
    };
    if (shortenedBy !== undefined && !this.#told) this.#onShortened({ ...standing, shortenedBy });
    this.#told = shortenedBy !== undefined;
    return standing;
  }

  #sample({ at, journalBytes }: JournalSight): void {
    const last = this.#samples.at(-1);
    if (last && at - last.at < SAMPLE_MICROS) return;
    this.#samples.push({ at, bytes: journalBytes });
    if (this.#samples.length > SAMPLES) this.#samples.shift();
  }

  #growth({ at, journalBytes }: JournalSight): number | undefined {
    const [first] = this.#samples;
    if (!first || at - first.at < GROWTH_MICROS_MIN) return undefined;
    return ((journalBytes - first.bytes) * 1e6) / (at - first.at);
  }
}

/** Points are missing because of space as long as those that were dropped would still lie in the window. */
function causeOf({ spaceFloor, coveredTime, limits, diskBytes }: JournalSight): SpaceCause | undefined {
  if (spaceFloor === 0 || coveredTime - spaceFloor >= limits.windowMicros) return undefined;
  return (limits.spaceBytes ?? Infinity) <= diskBytes ? 'space-limit' : 'disk-full';
}

interface Growing {
  readonly roomBytes: ByteCount;
  readonly growth: number | undefined;
  readonly limits: RetentionLimits;
  readonly availableMicros: TimeMicros;
}

/** Undefined when the journal does not grow, or when retention merges or drops undo before there is no room. */
function secondsUntilFull({ roomBytes, growth, limits, availableMicros }: Growing): number | undefined {
  if (growth === undefined || growth <= 0 || roomBytes === Infinity) return undefined;
  const seconds = Math.max(0, roomBytes) / growth;
  const detail = fullDetailMicros(limits);
  const grows = availableMicros < detail ? detail - availableMicros : limits.windowMicros - availableMicros;
  return seconds * 1e6 <= grows ? seconds : undefined;
}
