// SPDX-License-Identifier: Apache-2.0
import type { BookmarkLevel, ResyncReason, StreamBase, StreamMarker } from './change-set';

const RESYNC_REASONS: readonly ResyncReason[] = ['none', 'baseline', 'agent-crash', 'bitmap-mode', 'target-request', 'tap-interrupted', 'stream-broken', 'replica-lost', 'bitmap-lost', 'volume-grown'];
const BOOKMARK_LEVELS: readonly BookmarkLevel[] = ['crash', 'file-system', 'application', 'user'];

/** UTF-8 JSON. */
export function encodeMarker(marker: StreamMarker): Uint8Array {
  return Buffer.from(JSON.stringify(marker));
}

/** Undefined when the bytes are no marker that this version knows. */
export function decodeMarker(bytes: Uint8Array): StreamMarker | undefined {
  const value = parseObject(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  if (!value) return undefined;
  if (value['kind'] === 'heartbeat' || value['kind'] === 'resync-read') return { kind: value['kind'] };
  if (value['kind'] === 'bookmark') return bookmark(value);
  return resync(value);
}

function bookmark({ bookmarkId, name, level, hosts }: Record<string, unknown>): StreamMarker | undefined {
  const known = BOOKMARK_LEVELS.find((one) => one === level);
  if (typeof bookmarkId !== 'string' || typeof name !== 'string' || !known) return undefined;
  if (hosts !== undefined && !isCount(hosts)) return undefined;
  return { kind: 'bookmark', bookmarkId, name, level: known, ...(hosts === undefined ? {} : { hosts }) };
}

function resync({ kind, reason, volumeBytes, resyncBytes, base }: Record<string, unknown>): StreamMarker | undefined {
  const known = RESYNC_REASONS.find((name) => name === reason);
  if (!known || !isCount(resyncBytes)) return undefined;
  if (kind === 'resync-started') return { kind, reason: known, resyncBytes };
  if (kind !== 'epoch-started' || !isCount(volumeBytes)) return undefined;
  const started = { kind, reason: known, volumeBytes, resyncBytes } as const;
  if (base === undefined) return started;
  return isBase(base) ? { ...started, base: { epoch: base.epoch, sequence: base.sequence } } : undefined;
}

function isBase(value: unknown): value is StreamBase {
  return typeof value === 'object' && value !== null && 'epoch' in value && 'sequence' in value && isCount(value.epoch) && isCount(value.sequence);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : undefined;
  } catch {
    return undefined; // Not JSON is an expected answer here: the caller refuses the change set.
  }
}
