// SPDX-License-Identifier: Apache-2.0
import {
  type ComponentConfig, componentConfig, componentSchema, type Environment, parseEnvironment, type ReceiverConfig, receiverConfig, receiverVariables,
} from '@secondsite/component';
import { KIB, MIB } from '@secondsite/units';
import { z } from 'zod';

const schema = componentSchema('process-server', {
  ...receiverVariables,
  /** Fewer free bytes than this where the data are: nothing more is accepted. */
  SECONDSITE_FREE_BYTES_MIN: z.coerce.number().int().min(0).default(512 * MIB),
  /** Change sets kept in memory until they are forwarded, and again as much for those read back from disk. */
  SECONDSITE_MEMORY_BYTES_MAX: z.coerce.number().int().min(8 * MIB).default(24 * MIB),
  /** How fast the spool is read again, at most. */
  SECONDSITE_SCRUB_MIB_PER_SECOND: z.coerce.number().positive().default(8),
  /** Change sets that wait longer are read again. */
  SECONDSITE_SCRUB_WAIT_SECONDS: z.coerce.number().positive().default(300),
  /** What is remembered of blocks that targets have, for pairs that are deduplicated; 16 bytes remember 4 KiB. */
  SECONDSITE_DEDUPLICATION_BYTES_MAX: z.coerce.number().int().min(64 * KIB).default(64 * MIB),
});

export interface ProcessServerConfig extends ComponentConfig, ReceiverConfig {
  readonly freeBytesMin: number;
  readonly memoryBytesMax: number;
  readonly scrub: { readonly bytesPerSecond: number; readonly waitMicros: number };
  readonly deduplicationBytesMax: number;
}

/** Throws OperationError `config/invalid` that names every fault at once. */
export function readConfig(environment: Environment): ProcessServerConfig {
  const values = parseEnvironment(schema, environment);
  const scrub = { bytesPerSecond: values.SECONDSITE_SCRUB_MIB_PER_SECOND * MIB, waitMicros: values.SECONDSITE_SCRUB_WAIT_SECONDS * 1e6 };
  return Object.freeze({
    ...componentConfig(values),
    ...receiverConfig(values),
    freeBytesMin: values.SECONDSITE_FREE_BYTES_MIN,
    memoryBytesMax: values.SECONDSITE_MEMORY_BYTES_MAX,
    scrub,
    deduplicationBytesMax: values.SECONDSITE_DEDUPLICATION_BYTES_MAX,
  });
}
