// SPDX-License-Identifier: Apache-2.0
import { open } from 'node:fs/promises';

/** Makes an image that is one hole, in place of what was there, and returns its path. */
export async function sparseImage(path: string, sizeBytes: number): Promise<string> {
  const image = await open(path, 'w');
  await image.truncate(sizeBytes);
  await image.close();
  return path;
}
