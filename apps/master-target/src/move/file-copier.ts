// SPDX-License-Identifier: Apache-2.0
// Files of a pair that is copied. Invariant: a file here under its own name is whole and durable, so one that never changes there and has the same size
// and head need not come again; all others come when the pair stands.
import type { StorageDirectory } from '@secondsite/durable-storage';
import { type ByteCount, isOperationError, OperationError } from '@secondsite/units';
import { describeFiles, folderOf } from './copied-files';
import { type CopiedFile, copiedFolderSchema, type CopyAsk, FILE_GONE, PIECE_BYTES_MAX } from './copy-protocol';

export interface FileCopierParts {
  readonly directory: StorageDirectory;
  readonly ask: CopyAsk;
  readonly copied: (bytes: ByteCount) => void;
}

export class FileCopier {
  readonly #parts: FileCopierParts;

  constructor(parts: FileCopierParts) {
    this.#parts = parts;
  }

  /** Those that are not here as they are there. */
  async missing(files: readonly CopiedFile[]): Promise<CopiedFile[]> {
    const here = new Map<string, CopiedFile>();
    for (const folder of ['journal', 'quarantine'] as const) {
      const names = files.flatMap((file) => (file.folder === folder ? [file.name] : []));
      for (const file of await describeFiles(this.#parts.directory, { folder, names })) here.set(`${folder}/${file.name}`, file);
    }
    return files.filter(({ folder, name, bytes, head, isFinal }) => {
      const own = here.get(`${folder}/${name}`);
      return !isFinal || own?.bytes !== bytes || own.head !== head;
    });
  }

  /** Each is durable under its name when it resolves, unless it is gone at the other target meanwhile. */
  async copy(files: readonly CopiedFile[]): Promise<void> {
    for (const file of files) await this.#copyOne(file);
  }

  async #copyOne(copied: CopiedFile): Promise<void> {
    const directory = await folderOf(this.#parts.directory, copied.folder);
    const temporary = `.${copied.name}.copying`;
    const isWhole = await this.#fetch(copied, { directory, temporary });
    if (isWhole) await directory.rename(temporary, copied.name);
    else await directory.remove(temporary);
    await directory.sync();
  }

  /** False when the file is gone at the other target. */
  async #fetch({ folder, name, bytes }: CopiedFile, { directory, temporary }: { readonly directory: StorageDirectory; readonly temporary: string }): Promise<boolean> {
    const file = await directory.open(temporary, { create: true });
    try {
      await file.truncate(0);
      for (let offset = 0; offset < bytes; ) {
        const piece = await this.#parts.ask({ ask: 'file', folder, name, offset, length: Math.min(PIECE_BYTES_MAX, bytes - offset) });
        if (piece.length === 0) throw shorter(name);
        await file.write([piece], offset);
        offset += piece.length;
        this.#parts.copied(piece.length);
      }
      await file.sync();
      return true;
    } catch (error) {
      if (isOperationError(error, FILE_GONE)) return false;
      throw error;
    } finally {
      await file.close();
    }
  }

  /** Removes what the pair that stands does not have; durable when it resolves. */
  async keepOnly(files: readonly CopiedFile[]): Promise<void> {
    for (const folder of copiedFolderSchema.options) {
      if (folder === '') continue;
      const directory = await folderOf(this.#parts.directory, folder);
      const kept = new Set(files.flatMap((file) => (file.folder === folder ? [file.name] : [])));
      for (const name of await directory.list()) if (!kept.has(name)) await directory.remove(name);
      await directory.sync();
    }
  }
}

function shorter(name: string): OperationError {
  const hint = 'The copy begins anew.';
  return new OperationError({ code: 'copy/bad-answer', operation: 'copy pair', context: { name }, retryable: true, hint });
}
