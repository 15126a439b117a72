// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { freezeHooksSchema } from '../freeze-hooks';
import { tapSchema } from '../tap';
import { bytesSchema, nameSchema, referenceSchema, timeSchema } from './fields';
import { pairStatusSchema } from './pairs';
import { defineRoute } from './route';

export const volumeSchema = z
  .object({
    volumeId: z.string(),
    name: z.string(),
    hostId: z.string(),
    hostName: z.string(),
    tap: tapSchema,
    sizeBytes: bytesSchema.optional(),
    addedAt: timeSchema,
    nbdUris: z.array(z.string()).describe('what the server uses as its disk (tap nbd); empty until the agent exports it'),
    planId: z.string().optional(),
    pairId: z.string().optional(),
    keptUntil: timeSchema.optional().describe('it left its plan, and its replica and recovery points are kept until then'),
    hooks: freezeHooksSchema.describe('what stands still while the volume is cut for a bookmark of level file-system or application'),
  })
  .meta({ id: 'Volume' });
export type Volume = z.infer<typeof volumeSchema>;

export const addVolume = defineRoute({
  operationId: 'addVolume', method: 'POST', path: '/v1/volumes', tag: 'inventory', access: 'admin', status: 201,
  summary: 'Add a volume of a host; waits up to waitSeconds for the agent to export it.',
  query: z.object({ waitSeconds: z.coerce.number().min(0).max(60).default(10) }),
  body: z.object({ name: nameSchema, host: referenceSchema, tap: tapSchema, sizeBytes: bytesSchema.optional() }),
  response: volumeSchema,
});

export const listVolumes = defineRoute({
  operationId: 'listVolumes', method: 'GET', path: '/v1/volumes', tag: 'inventory', access: 'admin', status: 200,
  summary: 'List the volumes.',
  response: z.object({ volumes: z.array(volumeSchema) }),
});

export const getVolume = defineRoute({
  operationId: 'getVolume', method: 'GET', path: '/v1/volumes/{volume}', tag: 'inventory', access: 'admin', status: 200,
  summary: 'One volume, by name or id.',
  response: volumeSchema,
});

export const setVolumeHooks = defineRoute({
  operationId: 'setVolumeHooks', method: 'POST', path: '/v1/volumes/{volume}/hooks', tag: 'inventory', access: 'admin', status: 200,
  summary: 'Say what stands still while the volume is cut; replaces what was said before.',
  body: z.object({ hooks: freezeHooksSchema }),
  response: volumeSchema,
});

export const removeVolume = defineRoute({
  operationId: 'removeVolume', method: 'DELETE', path: '/v1/volumes/{volume}', tag: 'inventory', access: 'admin', status: 204,
  summary: 'Remove a volume that no plan protects; its source is left as it is.',
});

export const moveVolume = defineRoute({
  operationId: 'moveVolume', method: 'POST', path: '/v1/volumes/{volume}/process-server', tag: 'protection', access: 'admin', status: 200,
  summary: 'Move a protected volume to another process server, in the same epoch and without a baseline; the old one forwards what it has. giveUp: do not wait for that; what only the old one holds is read again from the source.',
  body: z.object({ processServer: referenceSchema, giveUp: z.boolean().default(false) }),
  response: pairStatusSchema,
});
