// SPDX-License-Identifier: Apache-2.0
import type { Extent } from '../block-device';
import type { StatusExtent } from '../codec/reply-codec';
import { allocationFlag } from '../protocol';

const extentsMax = 8192;

/** Extents for the wire: neighbours that are alike joined, cut at `length`; only the first with `reqOne`. Never empty. */
export function statusExtents(extents: readonly Extent[], wanted: { readonly length: number; readonly reqOne: boolean }): StatusExtent[] {
  const joined: { length: number; flags: number }[] = [];
  let left = wanted.length;
  for (const extent of extents) {
    const length = Math.min(extent.length, left);
    if (length === 0) continue;
    const flags = (extent.hole ? allocationFlag.hole : 0) | (extent.zero ? allocationFlag.zero : 0);
    const last = joined.at(-1);
    if (last && last.flags === flags) last.length += length;
    else if (joined.length === (wanted.reqOne ? 1 : extentsMax)) break;
    else joined.push({ length, flags });
    left -= length;
  }
  return joined.length > 0 ? joined : [{ length: wanted.length, flags: 0 }];
}
