// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';

/** How the writes of a volume are seen: the agent's NBD export is the disk, or a running QEMU mirrors into it. */
export const tapSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('nbd'), source: z.string().min(1).describe('raw file or block device') }),
  z.object({ kind: z.literal('qemu'), qmpSocket: z.string().min(1), device: z.string().min(1).describe('node or device id in QEMU') }),
]);
export type Tap = z.infer<typeof tapSchema>;
