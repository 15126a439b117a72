// SPDX-License-Identifier: Apache-2.0
// What a master target asks the one from which a pair moves to it (ADR 21): a JSON question, answered in JSON, or in bytes where that is said. All
// questions may be repeated.
import { KIB, MIB } from '@secondsite/units';
import { z } from 'zod';

/** Smaller than what resyncs compare: what small writes touch all over a volume is copied again in each round. */
export const COPIED_BLOCK_BYTES = 16 * KIB;
/** Blocks of one question, at most: they may be anywhere, so random writes take no more questions than a stretch of the volume. */
export const BLOCKS_MAX = 256;
/** Bytes of a file in one answer, at most. */
export const PIECE_BYTES_MAX = 4 * MIB;

const countSchema = z.int().nonnegative();

/** Of blocks of the replica: first, count. */
const runSchema = z.tuple([countSchema, z.int().positive()]);

/** Folders of a pair whose files are copied; '' is the pair's own. */
export const copiedFolderSchema = z.enum(['', 'journal', 'cache', 'quarantine']);
export type CopiedFolder = z.infer<typeof copiedFolderSchema>;

const copySchema = z.object({ placement: countSchema, copyId: z.string().max(64) });

export const copyQuestionSchema = z.discriminatedUnion('ask', [
  /** Begins a copy from the start; what is under way of an earlier one ends, and a pair that stands goes on. */
  z.object({ ask: z.literal('begin'), placement: countSchema }),
  /** What has changed since the round before; the number counts from 1 and is repeated with the question. */
  copySchema.extend({ ask: z.literal('round'), round: z.int().positive() }),
  /** Content of those blocks of the runs that have other checksums (base64, of all of them in order) than the given. Answered in bytes: see `encodeBlocks`. */
  copySchema.extend({ ask: z.literal('blocks'), runs: z.array(runSchema).max(BLOCKS_MAX), checksums: z.base64().max(8192) }),
  /** Answered with the bytes of the file. */
  copySchema.extend({ ask: z.literal('file'), folder: copiedFolderSchema, name: z.string().regex(/^(?!\.\.?$)[A-Za-z0-9._-]{1,128}$/), offset: countSchema, length: z.int().positive().max(PIECE_BYTES_MAX) }),
  /** The pair takes nothing more; rounds say when it stands. */
  copySchema.extend({ ask: z.literal('stand') }),
  /** The copy is durable: from now on this target takes nothing for the pair, also after a restart. */
  copySchema.extend({ ask: z.literal('hand-over') }),
]);
export type CopyQuestion = z.infer<typeof copyQuestionSchema>;

/** A question as its asker thinks of it. */
export type Asked = CopyQuestion extends infer Question ? (Question extends unknown ? Omit<Question, 'placement' | 'copyId'> : never) : never;
/** Resolves with the answer's bytes. Rejects with OperationError `copy/…` when it is refused. */
export type CopyAsk = (question: Asked) => Promise<Uint8Array>;

export const begunSchema = z.object({ copyId: z.string(), blockBytes: z.int().positive() });

export const copiedFileSchema = z.object({
  folder: copiedFolderSchema,
  name: z.string(),
  bytes: countSchema,
  /** Of its first bytes, which in a journal tell one content from another. */
  head: z.string(),
  /** It never changes under this name. */
  isFinal: z.boolean(),
});
export type CopiedFile = z.infer<typeof copiedFileSchema>;

export const roundSchema = z.object({
  /** Nothing changes any more: what this round says is all. */
  stands: z.boolean(),
  sizeBytes: countSchema,
  /** Changed blocks of the replica. */
  changed: z.array(runSchema),
  /** Changed blocks that come with the next round. */
  leftBlocks: countSchema,
  files: z.array(copiedFileSchema),
  /** What will have to be copied when the pair stands, besides changed blocks. */
  unsealedBytes: countSchema,
});
export type CopyRound = z.infer<typeof roundSchema>;

/** Refused because no such copy is under way here: begin one. */
export const UNKNOWN_COPY = 'copy/unknown';
/** Refused because the desired state here names another move; it passes. */
export const OTHER_MOVE = 'copy/other-move';
/** Refused because objects of a cold store are not copied. */
export const COLD_SEGMENTS = 'move/cold-segments';
/** Refused because the file is gone: the next round does not name it. */
export const FILE_GONE = 'copy/file-gone';
/** Refused because the pair was handed over in this move. */
export const HANDED_OVER = 'copy/handed-over';

/** What an answer says of a block. */
export const blockKinds = { same: 0, zeros: 1, data: 2 } as const;

/** One byte per block (`blockKinds`), then the content of those with data, one after the other. */
export function encodeBlocks(kinds: Uint8Array, contents: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([kinds, ...contents]);
}
