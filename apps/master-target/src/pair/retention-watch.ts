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
  /** When that was first seen, by the clock of this machine. */
  readonly shortenedAt: TimeMicros | undefined;
}

interface Sample {
  readonly at: TimeMicros;
  readonly journalBytes: ByteCount;
  /** Until the limit; on a shared disk others take from it too. */
  readonly roomBytes: ByteCount;
}

const SAMPLE_MICROS = 10e6;
const SAMPLES = 60;
/** Growth of a shorter time says little. */
const GROWTH_MICROS_MIN = 30e6;

export type ShortenedStanding = RetentionStanding & { readonly shortenedBy: SpaceCause };

export class RetentionWatch {
  readonly #onShortened: (standing: ShortenedStanding) => void;
  #samples: Sample[] = [];
  #limits: RetentionLimits | undefined;
  #shortenedAt: TimeMicros | undefined;

  constructor(onShortened: (standing: ShortenedStanding) => void) {
    this.#onShortened = onShortened;
  }

  /** Call it about once a second. */
  observe(sight: JournalSight): RetentionStanding {
    const { at, limits, coveredTime, earliestPoint, journalBytes } = sight;
    const limit = Math.min(limits.spaceBytes ?? Infinity, sight.diskBytes);
    const now = { at, journalBytes, roomBytes: limit - journalBytes };
    const first = this.#sample(now, limits);
    const availableMicros = earliestPoint === undefined ? 0 : Math.max(0, coveredTime - earliestPoint);
    const shortenedBy = causeOf(sight);
    const isNew = shortenedBy !== undefined && this.#shortenedAt === undefined;
    this.#shortenedAt = shortenedBy && (this.#shortenedAt ?? at);
    const standing = {
      promisedMicros: limits.windowMicros, availableMicros, shortenedBy,
      shortenedAt: this.#shortenedAt,
      limitBytes: limit === Infinity ? undefined : Math.max(0, Math.floor(limit)),
      growthBytesPerSecond: first && perSecond(now.journalBytes - first.journalBytes, now.at - first.at),
      fullSeconds: first && secondsUntilFull({ first, now, limits, availableMicros }),
    };
    if (isNew) this.#onShortened({ ...standing, shortenedBy });
    return standing;
  }

  /** Takes the sample; returns the oldest of the last minutes when it is old enough to compare with. */
  #sample(now: Sample, limits: RetentionLimits): Sample | undefined {
    if (limits !== this.#limits) this.#samples = [];
    this.#limits = limits;
    const last = this.#samples.at(-1);
    if (!last || now.at - last.at >= SAMPLE_MICROS) this.#samples.push(now);
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    const [first] = this.#samples;
    return first && now.at - first.at >= GROWTH_MICROS_MIN ? first : undefined;
  }
}

function perSecond(bytes: ByteCount, micros: TimeMicros): number {
  return (bytes * 1e6) / micros;
}

/** Points are missing because of space as long as those that were dropped would still lie in the window. */
function causeOf({ spaceFloor, coveredTime, limits, diskBytes }: JournalSight): SpaceCause | undefined {
  if (spaceFloor === 0 || coveredTime - spaceFloor >= limits.windowMicros) return undefined;
  return (limits.spaceBytes ?? Infinity) <= diskBytes ? 'space-limit' : 'disk-full';
}

interface Growing {
  readonly first: Sample;
  readonly now: Sample;
  readonly limits: RetentionLimits;
  readonly availableMicros: TimeMicros;
}

/** Undefined when the room does not shrink, or when retention merges or drops undo before there is none. */
function secondsUntilFull({ first, now, limits, availableMicros }: Growing): number | undefined {
  const shrinks = now.roomBytes === Infinity ? 0 : perSecond(first.roomBytes - now.roomBytes, now.at - first.at);
  if (!(shrinks > 0)) return undefined;
  const seconds = Math.max(0, now.roomBytes) / shrinks;
  const detail = fullDetailMicros(limits);
  const grows = availableMicros < detail ? detail - availableMicros : limits.windowMicros - availableMicros;
  return seconds * 1e6 <= grows ? seconds : undefined;
}
