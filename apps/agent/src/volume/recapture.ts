// SPDX-License-Identifier: Apache-2.0
import { DATA_BYTES_MAX } from '@secondsite/change-set';
import type { StorageFile } from '@secondsite/durable-storage';
import type { ByteRange } from '@secondsite/write-intent-bitmap';
import type { ChangeStream } from './change-stream';
import type { RegionLedger } from './region-ledger';

export interface RecaptureParts {
  readonly disk: StorageFile;
  readonly stream: ChangeStream;
  readonly ledger: RegionLedger;
  readonly failed: (error: unknown) => void;
}

/** Puts what the disk holds now into the stream, in this turn. False when it cannot be read, or there is no memory for it. */
export function recapture({ offset, length }: ByteRange, { disk, stream, ledger, failed }: RecaptureParts): boolean {
  if (length > DATA_BYTES_MAX) return false;
  const bytes = Buffer.alloc(length);
  try {
    disk.readNow(bytes, offset);
  } catch (error) {
    failed(error);
    return false;
  }
  if (!stream.makeRoom(length)) return false;
  stream.appendBytes({ kind: 'resync-write', offset }, [bytes]);
  ledger.write({ offset, length }, stream.openSequence);
  return true;
}
