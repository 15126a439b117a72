// SPDX-License-Identifier: Apache-2.0
/**
 * Causally linked writes to two disks: link n goes to disk a, then, when that is acknowledged, to disk b, then link n+1 to disk a. Any state
 * of both disks at one instant therefore has the newest link of a in b too, or just not yet.
 */
import type { View } from '@secondsite/contracts';
import { NbdClient } from '@secondsite/nbd';

export const linkBytes = 4096;
const slots = 256;
const linkMagic = 0x11_4c_49_4e_4b_00n;

export class CausalChain {
  #acknowledged = 0;
  #running = true;
  #failure: Error | undefined;
  readonly #writing: Promise<void>;

  private constructor(private readonly disks: readonly [NbdClient, NbdClient]) {
    this.#writing = this.#write().catch((error: unknown) => {
      this.#failure = error instanceof Error ? error : new Error(String(error));
    });
  }

  static async start(uris: readonly [string, string]): Promise<CausalChain> {
    return new CausalChain([await NbdClient.connect(uris[0]), await NbdClient.connect(uris[1])]);
  }

  /** The newest link that both disks have acknowledged. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Throws when a write failed. Idempotent. */
  async stop(): Promise<void> {
    this.#running = false;
    await this.#writing;
    for (const disk of this.disks) disk.destroy();
    if (this.#failure) throw this.#failure;
  }

  async #write(): Promise<void> {
    for (let link = 1; this.#running; link++) {
      for (const disk of this.disks) await disk.write((link % slots) * linkBytes, linkBlock(link));
      this.#acknowledged = link;
    }
  }
}

function linkBlock(link: number): Buffer {
  const block = Buffer.alloc(linkBytes);
  for (let position = 0; position < linkBytes; position += 16) {
    block.writeBigUInt64LE(linkMagic, position);
    block.writeBigUInt64LE(BigInt(link), position + 8);
  }
  return block;
}

/** The newest link in the view of a volume. */
export async function newestLinkIn(views: readonly View[], volumeName: string): Promise<number> {
  const client = await NbdClient.connect(views.find((view) => view.volumeName === volumeName)?.nbdUris[0] as string);
  try {
    return await newestLink(client);
  } finally {
    await client.disconnect();
  }
}

/** The newest link on a disk; throws when a link before it is missing, or a block is torn. */
async function newestLink(disk: NbdClient): Promise<number> {
  const content = Buffer.alloc(slots * linkBytes);
  await disk.read(0, content);
  const blocks = Array.from({ length: slots }, (_, slot) => content.subarray(slot * linkBytes, (slot + 1) * linkBytes));
  const newest = Math.max(...blocks.map((block) => Number(block.readBigUInt64LE(8))));
  for (let link = newest; link > Math.max(0, newest - slots); link--) {
    const block = blocks[link % slots] as Buffer;
    if (!block.equals(linkBlock(link))) throw new Error(`link ${newest} is there, link ${link} is not: its place begins ${block.toString('hex', 0, 16)}`);
  }
  return newest;
}
