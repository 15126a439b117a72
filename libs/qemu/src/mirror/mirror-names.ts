// SPDX-License-Identifier: Apache-2.0
// Names in QEMU that belong to one mirror. They are derived from the caller's id alone, so that a new process finds what an old one left.
import { createHash } from 'node:crypto';

export interface MirrorNames {
  readonly job: string;
  readonly filterNode: string;
  readonly targetNode: string;
  readonly exportId: string;
  readonly tlsCreds: string;
  /** Prefix of every dirty bitmap of this mirror. */
  readonly bitmapPrefix: string;
}

/** All exports made by Secondsite carry this prefix, whichever mirror they belong to. */
export const exportPrefix = 'secondsite-export-';

/** QEMU allows 31 bytes for a node name, so the id (any text, e.g. the volume's) goes in as 48 bits of its hash. */
export function mirrorNames(id: string): MirrorNames {
  const hash = createHash('sha256').update(id).digest('hex').slice(0, 12);
  return {
    job: `secondsite-mirror-${hash}`,
    filterNode: `ss-filter-${hash}`,
    targetNode: `ss-target-${hash}`,
    exportId: `${exportPrefix}${hash}`,
    tlsCreds: `secondsite-tls-${hash}`,
    bitmapPrefix: `secondsite-${hash}-`,
  };
}
