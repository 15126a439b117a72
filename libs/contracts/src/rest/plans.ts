// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { automaticResyncSchema, isTimeZone } from '../automatic-resync';
import { bandwidthSchema, bandwidthWishSchema } from '../bandwidth';
import { keepRuleSchema } from '../retention';
import { consistencyLevelSchema } from '../bookmark-level';
import { nameSchema, referenceSchema, timeSchema } from './fields';
import { pairStatusSchema } from './pairs';
import { defineRoute } from './route';

export const retentionPolicySchema = z.object({
  windowSeconds: z.number().int().min(60).max(20 * 366 * 86_400).default(86_400),
  spaceBytes: z.number().int().min(1).optional().describe('whichever is reached first: the window or this space per volume'),
  rules: z.array(keepRuleSchema).min(1).max(20).optional().describe('a ladder by ascending age; the window is then that of the last rule. Without: every point of the window'),
});
export type RetentionPolicy = z.infer<typeof retentionPolicySchema>;

const rpoThresholdSchema = z.number().int().min(1).max(366 * 86_400);

export const pinSchema = z
  .object({ pinId: z.string(), name: z.string(), points: z.array(z.object({ pairId: z.string(), time: timeSchema })) })
  .meta({ id: 'Pin' });
export type Pin = z.infer<typeof pinSchema>;

/** What is left out stays as it is, or has its default in a new plan: enabled, 30 min, 18:00 to 05:00, UTC. */
export const automaticResyncPolicySchema = automaticResyncSchema
  .extend({ waitSeconds: z.number().int().min(0).max(7 * 86_400), timeZone: z.string().max(64).refine(isTimeZone, 'a time zone has an IANA name such as Europe/Berlin') })
  .partial();

export const planSchema = z
  .object({
    planId: z.string(),
    name: z.string(),
    state: z.enum(['active', 'paused', 'removed']),
    createdAt: timeSchema,
    retention: retentionPolicySchema,
    consistencyIntervalSeconds: z.number().int().optional(),
    rpoThresholdSeconds: z.number().int().describe('an alert is raised above it'),
    consistencyLevel: consistencyLevelSchema,
    compression: z.enum(['none', 'source', 'process-server']),
    deduplication: z.boolean().describe('blocks that the master target has in a replica of the tenant are sent as references'),
    folding: z.boolean(),
    bandwidth: bandwidthSchema.optional().describe('limit from the process servers to the master targets; absent: none'),
    automaticResync: automaticResyncSchema,
    volumes: z.array(z.object({ volumeId: z.string(), name: z.string(), pairId: z.string() })),
    pins: z.array(pinSchema).describe('recovery points that retention never drops'),
  })
  .meta({ id: 'Plan' });
export type Plan = z.infer<typeof planSchema>;

export const planStatusSchema = planSchema.extend({ pairs: z.array(pairStatusSchema), rpoSeconds: z.number().nullable() }).meta({ id: 'PlanStatus' });
export type PlanStatus = z.infer<typeof planStatusSchema>;

/** One fact of the past, as read from the event store. */
export const historyEntrySchema = z
  .object({
    eventId: z.string(),
    type: z.string(),
    occurredAt: timeSchema,
    actor: z.string(),
    summary: z.string().describe('the fact in a sentence'),
    correlationId: z.string(),
    causationId: z.string().optional(),
    traceId: z.string().optional(),
    data: z.unknown(),
  })
  .meta({ id: 'HistoryEntry' });
export type HistoryEntry = z.infer<typeof historyEntrySchema>;

const takeOverSchema = z.boolean().default(false).describe('volumes that another plan protects come from there, with replica and recovery points; else they are refused');

export const createPlan = defineRoute({
  operationId: 'createPlan', method: 'POST', path: '/v1/plans', tag: 'protection', access: 'admin', status: 201,
  summary: 'Protect volumes: one replication pair each, placed on the least loaded process server and master target.',
  body: z.object({
    name: nameSchema,
    volumes: z.array(referenceSchema).min(1).max(256),
    retention: retentionPolicySchema.prefault({}),
    consistencyIntervalSeconds: z.number().int().min(5).max(86_400).optional(),
    rpoThresholdSeconds: rpoThresholdSchema.optional().describe('default 900'),
    consistencyLevel: consistencyLevelSchema.default('crash').describe('of the periodic bookmarks; they are made at the level that holds when a hook fails'),
    compression: z.enum(['none', 'source', 'process-server']).default('process-server'),
    deduplication: z.boolean().default(false).describe('not with compression at the source'),
    folding: z.boolean().default(false),
    automaticResync: automaticResyncPolicySchema.optional(),
    takeOver: takeOverSchema,
  }),
  response: planSchema,
});

export const listPlans = defineRoute({
  operationId: 'listPlans', method: 'GET', path: '/v1/plans', tag: 'protection', access: 'admin', status: 200,
  summary: 'List the plans that are not removed.',
  response: z.object({ plans: z.array(planSchema) }),
});

export const getPlanStatus = defineRoute({
  operationId: 'getPlanStatus', method: 'GET', path: '/v1/plans/{plan}', tag: 'protection', access: 'admin', status: 200,
  summary: 'One plan with the live status of its pairs.',
  response: planStatusSchema,
});

export const getPlanHistory = defineRoute({
  operationId: 'getPlanHistory', method: 'GET', path: '/v1/plans/{plan}/history', tag: 'protection', access: 'admin', status: 200,
  summary: 'Everything that happened to a plan and its pairs, oldest first; also of a removed plan.',
  response: z.object({ entries: z.array(historyEntrySchema) }),
});

export const changePlan = defineRoute({
  operationId: 'changePlan', method: 'PATCH', path: '/v1/plans/{plan}', tag: 'protection', access: 'admin', status: 200,
  summary: 'Change retention, consistency interval (null: no periodic bookmarks), consistency level, automatic resync, bandwidth (null: no limit), RPO threshold or deduplication.',
  body: z.object({
    retention: retentionPolicySchema.optional(),
    consistencyIntervalSeconds: z.number().int().min(5).max(86_400).nullable().optional(),
    bandwidth: bandwidthWishSchema.nullable().optional(),
    rpoThresholdSeconds: rpoThresholdSchema.optional(),
    consistencyLevel: consistencyLevelSchema.optional(),
    automaticResync: automaticResyncPolicySchema.optional(),
    deduplication: z.boolean().optional(),
  }),
  response: planSchema,
});

export const addPlanVolumes = defineRoute({
  operationId: 'addPlanVolumes', method: 'POST', path: '/v1/plans/{plan}/volumes', tag: 'protection', access: 'admin', status: 200,
  summary: 'Add volumes to a plan; the others go on as they are. A volume that left a plan not long ago is there again with its replica and recovery points.',
  body: z.object({ volumes: z.array(referenceSchema).min(1).max(256), takeOver: takeOverSchema }),
  response: planSchema,
});

export const removePlanVolumes = defineRoute({
  operationId: 'removePlanVolumes', method: 'POST', path: '/v1/plans/{plan}/volumes/remove', tag: 'protection', access: 'admin', status: 200,
  summary: 'Take volumes out of a plan; the others go on as they are. Their replicas and recovery points are kept for keepSeconds, for the case that they join a plan again, and then deleted; 0: at once.',
  body: z.object({
    volumes: z.array(referenceSchema).min(1).max(256),
    keepSeconds: z.number().int().min(0).max(366 * 86_400).default(7 * 86_400),
    confirm: z.string().optional().describe('repeats the name of the plan; needed for keepSeconds 0'),
  }),
  response: z.object({ plan: planSchema, left: z.array(z.object({ volumeName: z.string(), pairId: z.string(), keptUntil: timeSchema.optional().describe('absent: deleted') })) }),
});

export const pausePlan = defineRoute({
  operationId: 'pausePlan', method: 'POST', path: '/v1/plans/{plan}/pause', tag: 'protection', access: 'admin', status: 200,
  summary: 'Stop sending; writes are only marked in the bitmap until the plan is resumed.',
  response: planSchema,
});

export const resumePlan = defineRoute({
  operationId: 'resumePlan', method: 'POST', path: '/v1/plans/{plan}/resume', tag: 'protection', access: 'admin', status: 200,
  summary: 'Resume a paused plan: changed regions are resynchronised.',
  response: planSchema,
});

export const removePlan = defineRoute({
  operationId: 'removePlan', method: 'DELETE', path: '/v1/plans/{plan}', tag: 'protection', access: 'admin', status: 204,
  summary: 'Remove protection. confirm repeats the name of the plan. deleteData also deletes replicas and journals.',
  query: z.object({ confirm: z.string(), deleteData: z.enum(['true', 'false']).default('false') }),
});

