// SPDX-License-Identifier: Apache-2.0
import {
  type ComponentConfig, componentConfig, componentSchema, type Environment, parseEnvironment, type ReceiverConfig, receiverConfig, receiverVariables,
  switchSchema,
} from '@secondsite/component';
import { GIB, KIB, MIB } from '@secondsite/units';
import { z } from 'zod';
import { coldConfig, type ColdConfig, coldVariables } from './cold/cold-config';

const schema = componentSchema('master-target', {
  ...receiverVariables,
  /** Fewer free bytes than this where the data are: nothing more is accepted. */
  SECONDSITE_FREE_BYTES_MIN: z.coerce.number().int().min(0).default(256 * MIB),
  /** Received change sets of one pair on disk, not durable in its replica yet; above it senders are held off. */
  SECONDSITE_CACHE_BYTES_MAX: z.coerce.number().int().min(64 * MIB).default(2 * GIB),
  /** Decoded change sets of one pair in memory. */
  SECONDSITE_MEMORY_BYTES_MAX: z.coerce.number().int().min(8 * MIB).default(48 * MIB),
  /** How fast the scrubber reads replica and journal of a pair again, at most. */
  SECONDSITE_SCRUB_MIB_PER_SECOND: z.coerce.number().positive().default(8),
  /** From the beginning of one round of the scrubber to that of the next. */
  SECONDSITE_SCRUB_DAYS: z.coerce.number().positive().default(7),
  /** What is remembered of blocks in replicas of pairs that are deduplicated; 16 bytes remember 4 KiB. */
  SECONDSITE_DEDUPLICATION_BYTES_MAX: z.coerce.number().int().min(64 * KIB).default(64 * MIB),
  /** 1: pairs are accepted although replicas and retention may need more than the disk has. */
  SECONDSITE_OVERALLOCATE: switchSchema.default('0'),
  ...coldVariables,
});

export interface MasterTargetConfig extends ComponentConfig, ReceiverConfig {
  readonly freeBytesMin: number;
  readonly cacheBytesMax: number;
  readonly memoryBytesMax: number;
  readonly scrubBytesPerSecond: number;
  readonly scrubRoundMicros: number;
  readonly deduplicationBytesMax: number;
  readonly overAllocate: boolean;
  /** Absent: all undo stays on the disk. */
  readonly cold: ColdConfig | undefined;
}

/** Throws OperationError `config/invalid` that names every fault at once. */
export function readConfig(environment: Environment): MasterTargetConfig {
  const values = parseEnvironment(schema, environment);
  return Object.freeze({
    ...componentConfig(values),
    ...receiverConfig(values),
    freeBytesMin: values.SECONDSITE_FREE_BYTES_MIN,
    cacheBytesMax: values.SECONDSITE_CACHE_BYTES_MAX,
    memoryBytesMax: values.SECONDSITE_MEMORY_BYTES_MAX,
    scrubBytesPerSecond: values.SECONDSITE_SCRUB_MIB_PER_SECOND * MIB,
    scrubRoundMicros: values.SECONDSITE_SCRUB_DAYS * 86_400e6,
    deduplicationBytesMax: values.SECONDSITE_DEDUPLICATION_BYTES_MAX,
    overAllocate: values.SECONDSITE_OVERALLOCATE === '1',
    cold: coldConfig(values),
  });
}
