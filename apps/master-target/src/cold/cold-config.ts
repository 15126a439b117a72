// SPDX-License-Identifier: Apache-2.0
import type { ColdPolicy } from '@secondsite/retention-journal';
import { type ByteCount, MIB } from '@secondsite/units';
import { z } from 'zod';

export const coldVariables = {
  /** Bucket of an S3-compatible store for old segments of the retention journals; absent: all stay on the disk. Credentials as AWS tools take them. */
  SECONDSITE_COLD_BUCKET: z.string().min(3).max(63).optional(),
  /** Absent: AWS itself. */
  SECONDSITE_COLD_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
  SECONDSITE_COLD_REGION: z.string().min(1).default('us-east-1'),
  /** Folder in the bucket; below it each tenant has one, and in that each master target. */
  SECONDSITE_COLD_PREFIX: z.string().regex(/^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/, 'must be names of letters, digits, dots, dashes, underscores with slashes between them').default('secondsite'),
  /** Undo that is older goes to the cold store. */
  SECONDSITE_COLD_AFTER_SECONDS: z.coerce.number().int().min(0).default(86_400),
  /** A journal that takes more than this part of the space that it may lets its oldest undo go there, whatever its age; 1: only by age. */
  SECONDSITE_COLD_ABOVE_SHARE: z.coerce.number().gt(0).max(1).default(0.5),
  /** Memory of each pair for what its views have read of the cold store. */
  SECONDSITE_COLD_CACHE_BYTES_MAX: z.coerce.number().int().min(1 * MIB).default(32 * MIB),
} as const;

export interface ColdConfig {
  readonly bucket: string;
  readonly endpoint: string | undefined;
  readonly region: string;
  readonly prefix: string;
  readonly policy: ColdPolicy;
  readonly cacheBytesMax: ByteCount;
}

/** What a master target of a tenant needs to use its part of the bucket; may cross to a thread. */
export interface ColdStoreConfig extends Omit<ColdConfig, 'prefix'> {
  /** Folder of the tenant in the bucket: nothing outside it is ever read or written. */
  readonly root: string;
  /** Folder of the master target in it. */
  readonly folder: string;
}

export function coldConfig(values: z.output<z.ZodObject<typeof coldVariables>>): ColdConfig | undefined {
  const bucket = values.SECONDSITE_COLD_BUCKET;
  return bucket === undefined ? undefined : {
    bucket,
    endpoint: values.SECONDSITE_COLD_ENDPOINT,
    region: values.SECONDSITE_COLD_REGION,
    prefix: values.SECONDSITE_COLD_PREFIX,
    policy: { afterMicros: values.SECONDSITE_COLD_AFTER_SECONDS * 1e6, aboveShare: values.SECONDSITE_COLD_ABOVE_SHARE },
    cacheBytesMax: values.SECONDSITE_COLD_CACHE_BYTES_MAX,
  };
}

export function coldStoreConfig({ prefix, ...config }: ColdConfig, { tenantId, componentId }: { readonly tenantId: string; readonly componentId: string }): ColdStoreConfig {
  return { ...config, root: `${prefix}/${tenantId}`, folder: componentId };
}
