// SPDX-License-Identifier: Apache-2.0
// Finds the segments that form an unbroken chain up to the newest. What a crash, pruning or merging left over is removed; what was damaged is
// renamed, and kept for an inquiry.
import type { StorageDirectory } from '@secondsite/durable-storage';
import { type ColdName, coldName, coldNameOf } from './cold-format';
import { ColdSegment } from './cold-segment';
import type { ColdTier } from './cold-tier';
import { baseOfName, JournalSegment, segmentName } from './journal-segment';
import { mergedName, stretchOfName } from './merged-format';
import { MergedSegment } from './merged-segment';
import { temporaryName } from './merge-segments';
import type { StoredSegment } from './stored-segment';
import type { JournalPosition } from './undo-entries';

/** What opening found: files that could not be part of the chain any more. */
export interface OpenReport {
  readonly damaged: readonly string[];
  readonly removed: readonly string[];
}

export interface OpenedChain {
  readonly segments: StoredSegment[];
  readonly report: { damaged: string[]; removed: string[] };
}

/** A segment file by its name. */
interface Candidate {
  readonly name: string;
  readonly base: JournalPosition;
  readonly open: () => Promise<StoredSegment | undefined>;
}

interface ChainTools {
  /** Gives a merged or cold segment the place that positions in it count from. */
  readonly addressFor: (stretch: Stretch) => JournalPosition;
  /** Where the data of cold segments are. */
  readonly cold: ColdTier | undefined;
}

export async function openChain(directory: StorageDirectory, tools: ChainTools): Promise<OpenedChain> {
  const candidates = await candidatesOf(directory, tools);
  const segments: StoredSegment[] = [];
  const report = { damaged: [] as string[], removed: [] as string[] };
  for (const candidate of candidates) {
    const segment = await candidate.open();
    const isLast = candidate === candidates.at(-1);
    const previous = segments.at(-1);
    if (segment && previous && previous.end !== candidate.base) {
      await dropAll({ directory, segments, report, setAside: !previous.sealed || report.damaged.length > 0 });
    }
    if (segment) segments.push(segment);
    // Only the newest segment as it was written can be torn.
    else await drop({ directory, name: candidate.name, report, setAside: !isLast || baseOfName(candidate.name, 'undo') === undefined });
  }
  await directory.sync();
  return { segments, report };
}

interface Stretch {
  readonly base: JournalPosition;
  readonly end: JournalPosition;
}

/** What may be part of the chain, by base; removes the rest. */
async function candidatesOf(directory: StorageDirectory, { addressFor, cold: tier }: ChainTools): Promise<Candidate[]> {
  const names = await directory.list();
  const whole = ruling([...names.map(coldNameOf), ...names.map(stretchOfName)].filter((stretch) => stretch !== undefined));
  const bases = names.map((name) => baseOfName(name, 'undo')).filter((base) => base !== undefined);
  const written = bases.filter((base) => !whole.some((stretch) => stretch.base <= base && base < stretch.end));
  const known = new Set([...whole.map(nameOf), ...written.flatMap((base) => [segmentName(base, 'undo'), segmentName(base, 'index')])]);
  for (const name of names) if (isOfJournal(name) && !known.has(name)) await directory.remove(name);
  const candidates = [
    ...whole.map((stretch) => {
      const parts = { name: nameOf(stretch), address: addressFor(stretch) };
      return { ...parts, base: stretch.base, open: () => (isCold(stretch) ? ColdSegment.open({ directory, tier, ...parts }) : MergedSegment.open(directory, parts)) };
    }),
    ...written.map((base) => ({ name: segmentName(base, 'undo'), base, open: () => JournalSegment.open(directory, base) })),
  ];
  return candidates.sort((left, right) => left.base - right.base);
}

/** Each without the others that lie in its stretch: it took their place. Of two with the same stretch the first stays. */
function ruling(stretches: readonly (Stretch | ColdName)[]): (Stretch | ColdName)[] {
  return stretches.filter((stretch, index) => !stretches.some((other, place) => {
    const isSame = other.base === stretch.base && other.end === stretch.end;
    return other.base <= stretch.base && stretch.end <= other.end && (isSame ? place < index : true);
  }));
}

function isCold(stretch: Stretch | ColdName): stretch is ColdName {
  return 'token' in stretch;
}

function nameOf(stretch: Stretch | ColdName): string {
  return isCold(stretch) ? coldName(stretch) : mergedName(stretch);
}

function isOfJournal(name: string): boolean {
  if (name === temporaryName || name.endsWith('.cold.new')) return true;
  return (coldNameOf(name) ?? stretchOfName(name) ?? baseOfName(name, 'undo') ?? baseOfName(name, 'index')) !== undefined;
}

interface Drop {
  readonly directory: StorageDirectory;
  readonly report: OpenedChain['report'];
  /** Keep the file under another name for an inquiry: it was damaged, not just half removed. */
  readonly setAside: boolean;
}

/** Closes and drops all of `segments` and empties the list. */
export async function dropAll({ segments, ...how }: Drop & { readonly segments: StoredSegment[] }): Promise<void> {
  for (const segment of segments.splice(0)) {
    await segment.file.close();
    await drop({ ...how, name: segment.names[0] as string });
  }
}

async function drop({ directory, name, report, setAside }: Drop & { readonly name: string }): Promise<void> {
  (setAside ? report.damaged : report.removed).push(name);
  if (setAside) return directory.rename(name, `${name}.damaged`);
  const base = baseOfName(name, 'undo');
  await removeFiles(directory, base === undefined ? [name] : [name, segmentName(base, 'index')]);
}

/** Removes those of the files that are there, the last one first. */
export async function removeFiles(directory: StorageDirectory, names: readonly string[]): Promise<void> {
  const there = await directory.list();
  for (const name of [...names].reverse()) if (there.includes(name)) await directory.remove(name);
}
