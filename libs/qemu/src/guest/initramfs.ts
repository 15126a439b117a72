// SPDX-License-Identifier: Apache-2.0
// What an initramfs is made of.
import { chmod, copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readFolderIfPresent } from '../host-tools/read-folder-if-present';
import { runTool } from '../host-tools/run-tool';

/** Copies drivers out of a kernel's module folder; those built into the kernel are simply absent there. */
export async function copyModules({ modules, from, into }: { modules: readonly string[]; from: string; into: string }): Promise<void> {
  const files = await readFolderIfPresent(from, { recursive: true });
  for (const module of modules) {
    const file = files.find((name) => name.endsWith(`/${module}.ko`));
    if (file !== undefined) await copyFile(join(from, file), join(into, `${module}.ko`));
  }
}

export async function writeProgram(program: { file: string; content: string }): Promise<void> {
  await writeFile(program.file, program.content);
  await chmod(program.file, 0o755);
}

/** Packs a tree into a compressed archive. The kernel takes several of them one after the other in one file; a later one replaces files of an earlier one. */
export async function packInitramfs({ tree, busybox, into }: { tree: string; busybox: string; into: string }): Promise<void> {
  await runTool({
    command: busybox,
    args: ['sh', '-c', `"${busybox}" find . | "${busybox}" cpio -o -H newc | "${busybox}" gzip -1 > "${into}"`],
    cwd: tree,
    operation: 'write the initramfs',
    hint: 'Check the free space.',
  });
}
