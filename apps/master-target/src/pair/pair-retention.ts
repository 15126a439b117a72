// SPDX-License-Identifier: Apache-2.0
// Retention of one pair: which points are offered, what the journal may take, and how it stands against what was promised.
import { droppedTimes, RecoveryPoints, type RetentionJournal, type RetentionLimits } from '@secondsite/retention-journal';
import type { ByteCount, TimeMicros } from '@secondsite/units';
import type { RetentionPreview } from './pair-thread';
import type { PairEvent } from './pair-types';
import { type RetentionStanding, RetentionWatch, type ShortenedStanding } from './retention-watch';

export interface PairRetentionParts {
  readonly journal: RetentionJournal;
  readonly limits: RetentionLimits;
  /** Change sets are refused when less is free. */
  readonly freeBytesMin: ByteCount;
  readonly clock: () => TimeMicros;
  readonly emit: (event: PairEvent) => void;
}

export class PairRetention {
  readonly #parts: PairRetentionParts;
  readonly #watch: RetentionWatch;
  #limits: RetentionLimits;
  /** What the journal may take of the disk. */
  #diskBytes = Infinity;
  #standing: RetentionStanding;
  #holds: { readonly time: TimeMicros; readonly until: TimeMicros }[] = [];

  constructor(parts: PairRetentionParts) {
    this.#parts = parts;
    this.#limits = parts.limits;
    this.#watch = new RetentionWatch((standing) => this.#tell(standing));
    this.#standing = this.#look();
  }

  /** What the plan says, and what the disk has. */
  get effective(): RetentionLimits {
    const spaceBytes = Math.min(this.#limits.spaceBytes ?? Infinity, this.#diskBytes);
    this.#holds = this.#holds.filter(({ until }) => until > this.#parts.clock());
    return {
      ...this.#limits,
      pins: [...(this.#limits.pins ?? []), ...this.#holds.map(({ time }) => time)],
      ...(spaceBytes !== Infinity && { spaceBytes }),
    };
  }

  /** Keeps a point for `micros`, until a pin of the plan does; false when it is not offered any more. Not durable. */
  hold(time: TimeMicros, micros: TimeMicros): boolean {
    if (!this.points().isOffered(time)) return false;
    this.#holds.push({ time, until: this.#parts.clock() + micros });
    return true;
  }

  get standing(): RetentionStanding {
    return this.#standing;
  }

  setLimits(limits: RetentionLimits): void {
    this.#limits = limits;
  }

  points(): RecoveryPoints {
    return this.#parts.journal.points(this.#limits);
  }

  /** True when a view of the instant can be opened, also one that is not offered any more. */
  holds(pointTime: TimeMicros): boolean {
    return RecoveryPoints.ofVolume(this.#parts.journal.timelines).isOffered(pointTime);
  }

  /** What other limits would drop; nothing is changed. Pins stay as they are. */
  preview(limits: RetentionLimits): RetentionPreview {
    const now = this.points();
    const { points: then, freedBytes } = this.#parts.journal.preview({ ...limits, pins: this.#limits.pins ?? [] });
    return {
      earliestNow: now.earliest, earliestThen: then.earliest, freedBytes,
      dropped: droppedTimes(now, then),
      droppedBookmarks: now.offeredBookmarks().filter(({ recoverable, time }) => recoverable && !then.isOffered(time)),
    };
  }

  /** Takes note of the free space of the disk; about once a second. Points go before change sets are refused; the replica is never touched. */
  observe(freeBytes: ByteCount): void {
    this.#diskBytes = this.#parts.journal.storedBytes + freeBytes - 2 * this.#parts.freeBytesMin;
    this.#standing = this.#look();
  }

  #look(): RetentionStanding {
    const { journal, clock } = this.#parts;
    return this.#watch.observe({
      at: clock(),
      journalBytes: journal.storedBytes,
      coveredTime: journal.applied.lastTime,
      earliestPoint: this.points().earliest,
      spaceFloor: journal.spaceFloor,
      limits: this.#limits,
      diskBytes: this.#diskBytes,
    });
  }

  #tell({ shortenedBy: cause, promisedMicros, availableMicros }: ShortenedStanding): void {
    const { journal, emit } = this.#parts;
    emit({ kind: 'retention-shortened', cause, promisedMicros, availableMicros, journalBytes: journal.storedBytes, earliestPoint: this.points().earliest });
  }
}
