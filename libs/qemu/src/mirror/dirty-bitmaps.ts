// SPDX-License-Identifier: Apache-2.0
// Dirty bitmaps of one mirror on the source node. They live in QEMU's memory: they survive the agent and a machine reset, not QEMU's end.
// Invariant: from the first attach on, at every instant at least one bitmap of ours records. Names are <prefix><number>, newest highest.
import type { QmpClient } from '../qmp/qmp-client';
import { type BlockNode, type DirtyBitmap, queryNodes } from './block-graph';

export const bitmapGranularityBytes = 64 * 1024;

export interface BitmapPlace {
  readonly qmp: QmpClient;
  readonly node: string;
  readonly prefix: string;
}

/** The node that carries bitmaps of this mirror, if any does. */
export async function findMarkedNode(qmp: QmpClient, prefix: string): Promise<BlockNode | undefined> {
  return (await queryNodes(qmp)).find((node) => node.bitmaps.some((bitmap) => bitmap.name.startsWith(prefix)));
}

/** Our bitmaps, oldest first. */
export async function listBitmaps(place: BitmapPlace): Promise<DirtyBitmap[]> {
  const node = (await queryNodes(place.qmp)).find((candidate) => candidate.nodeName === place.node);
  const ours = (node?.bitmaps ?? []).filter((bitmap) => bitmap.name.startsWith(place.prefix) && bitmap.name !== baselineMark(place));
  return ours.sort((left, right) => numberOf({ place, bitmap: left }) - numberOf({ place, bitmap: right }));
}

/** Starts the first recording bitmap. */
export async function startRecording(place: BitmapPlace): Promise<void> {
  await place.qmp.execute('block-dirty-bitmap-add', { node: place.node, ...newBitmap(`${place.prefix}1`) });
}

/**
 * In one transaction: a new empty bitmap records, the old ones stop. Returns the newest stopped one. QEMU lets every write under way end
 * before a transaction, so when the mirror job still runs afterwards, the target has acknowledged every write in the stopped bitmaps.
 */
export async function rotateBitmap(place: BitmapPlace): Promise<string> {
  const bitmaps = await listBitmaps(place);
  const next = nextNumber({ place, bitmaps });
  const stop = bitmaps.filter((bitmap) => bitmap.recording).map((bitmap) => action('disable', { node: place.node, name: bitmap.name }));
  await transact(place.qmp, [action('add', { node: place.node, ...newBitmap(`${place.prefix}${next}`) }), ...stop]);
  return `${place.prefix}${next - 1}`;
}

/**
 * In one transaction: all bitmaps there are become a single stopped one, and a new empty one records. Returns the stopped one: every
 * region written since it was last known to be safe. Repeating it after a crash loses nothing.
 */
export async function gatherBitmaps(place: BitmapPlace): Promise<string> {
  const bitmaps = await listBitmaps(place);
  const next = nextNumber({ place, bitmaps });
  const gathered = `${place.prefix}${next}`;
  const { node, qmp } = place;
  await transact(qmp, [
    action('add', { node, ...newBitmap(`${place.prefix}${next + 1}`) }),
    ...bitmaps.filter((bitmap) => bitmap.recording).map((bitmap) => action('disable', { node, name: bitmap.name })),
    action('add', { node, ...newBitmap(gathered), disabled: true }),
    action('merge', { node, target: gathered, bitmaps: bitmaps.map((bitmap) => bitmap.name) }),
    ...bitmaps.map((bitmap) => action('remove', { node, name: bitmap.name })),
  ]);
  return gathered;
}

/** Leaves a mark in QEMU (an empty stopped bitmap) that the whole disk has to be read, until the mark is removed. */
export async function markBaselineNeeded(place: BitmapPlace): Promise<void> {
  if (await isBaselineNeeded(place)) return;
  await place.qmp.execute('block-dirty-bitmap-add', { node: place.node, ...newBitmap(baselineMark(place)), disabled: true });
}

export async function isBaselineNeeded(place: BitmapPlace): Promise<boolean> {
  return hasBitmap(place, baselineMark(place));
}

/** The whole disk is durably noted as to be read by the caller. */
export async function clearBaselineMark(place: BitmapPlace): Promise<void> {
  await removeBitmap(place, baselineMark(place));
}

/** Forgets a bitmap; repeating it is harmless. */
export async function removeBitmap(place: BitmapPlace, name: string): Promise<void> {
  if (!(await hasBitmap(place, name))) return;
  await place.qmp.execute('block-dirty-bitmap-remove', { node: place.node, name });
}

async function hasBitmap(place: BitmapPlace, name: string): Promise<boolean> {
  const node = (await queryNodes(place.qmp)).find((candidate) => candidate.nodeName === place.node);
  return node?.bitmaps.some((bitmap) => bitmap.name === name) ?? false;
}

function baselineMark(place: BitmapPlace): string {
  return `${place.prefix}baseline`;
}

function newBitmap(name: string): { name: string; granularity: number; persistent: boolean } {
  return { name, granularity: bitmapGranularityBytes, persistent: false };
}

function nextNumber(state: { place: BitmapPlace; bitmaps: readonly DirtyBitmap[] }): number {
  return 1 + Math.max(0, ...state.bitmaps.map((bitmap) => numberOf({ place: state.place, bitmap })));
}

function numberOf(named: { place: BitmapPlace; bitmap: DirtyBitmap }): number {
  return Number(named.bitmap.name.slice(named.place.prefix.length));
}

function action(verb: 'add' | 'disable' | 'merge' | 'remove', data: Record<string, unknown>): Record<string, unknown> {
  return { type: `block-dirty-bitmap-${verb}`, data };
}

async function transact(qmp: QmpClient, actions: readonly Record<string, unknown>[]): Promise<void> {
  await qmp.execute('transaction', { actions });
}
