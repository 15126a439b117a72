// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { timedBookmarkCutSchema } from '../bookmark-cut';
import { bookmarkLevelSchema } from '../bookmark-level';
import { frozenLevelSchema, hookResultSchema } from '../freeze-hooks';
import { idSchema, isoTimeSchema } from '../scalars';
import { defineOperation } from './define-operation';

const bookmark = { bookmarkId: idSchema, name: z.string().min(1).max(200), level: bookmarkLevelSchema, planId: idSchema.optional() };
const cut = { time: isoTimeSchema, heldMillis: z.number().nonnegative(), cuts: z.array(timedBookmarkCutSchema) };

/** Holds the writes of all volumes named, cuts them at one instant and lets go; repeated with the same bookmarkId it answers the same cut. */
export const createBookmarkOperation = defineOperation({
  role: 'agent',
  name: 'create-bookmark',
  summary: 'Cut volumes of one host at one instant.',
  request: z.object({ ...bookmark, volumeIds: z.array(idSchema).min(1) }),
  reply: z.object({ bookmarkId: idSchema, ...cut }),
});

/**
 * First step of a cut through several hosts: when it answers, no write reaches the volumes until they are cut or released, or until
 * `holdMillisMax` has passed since; what was held too long cannot be cut any more.
 */
export const holdWritesOperation = defineOperation({
  role: 'agent',
  name: 'hold-writes',
  summary: 'Hold the writes of volumes of one host for a cut through several hosts.',
  request: z.object({ holdId: idSchema, volumeIds: z.array(idSchema).min(1), holdMillisMax: z.int().min(1).max(500) }),
  reply: z.object({ holdId: idSchema }),
});

/** Second step, when all hosts hold: puts the bookmark into the streams of the held volumes, and lets their writes go, also when it fails. */
export const cutHeldOperation = defineOperation({
  role: 'agent',
  name: 'cut-held',
  summary: 'Cut volumes whose writes are held.',
  request: z.object({
    holdId: idSchema, ...bookmark,
    hosts: z.int().min(1).describe('how many hosts the bookmark cuts'),
    freezeId: idSchema.optional().describe('the cut is refused when this freeze is over before it'),
  }),
  reply: z.object({ holdId: idSchema, ...cut }),
});

/**
 * Before a cut: runs the hooks of the volumes up to the level, one after the other, and answers when all were tried. Everything that they froze is
 * thawed by `thaw-volumes`, after `freezeSecondsMax`, when the agent ends, and, if `isStrict`, as soon as one fails.
 */
export const freezeVolumesOperation = defineOperation({
  role: 'agent',
  name: 'freeze-volumes',
  summary: 'Let applications and file systems of one host stand still for a cut.',
  request: z.object({
    freezeId: idSchema, volumeIds: z.array(idSchema).min(1), level: frozenLevelSchema, isStrict: z.boolean(), freezeSecondsMax: z.int().min(1).max(600),
  }),
  reply: z.object({ results: z.array(hookResultSchema) }),
});

/** Answers when everything goes on again. Idempotent: of a freeze that is not known any more there are no results. */
export const thawVolumesOperation = defineOperation({
  role: 'agent',
  name: 'thaw-volumes',
  summary: 'Let frozen applications and file systems go on.',
  request: z.object({ freezeId: idSchema }),
  reply: z.object({ results: z.array(hookResultSchema).describe('of freezing and thawing') }),
});

/** Instead of the second step. Idempotent. */
export const releaseWritesOperation = defineOperation({
  role: 'agent',
  name: 'release-writes',
  summary: 'Let held writes go without a cut.',
  request: z.object({ holdId: idSchema }),
  reply: z.object({ released: z.boolean() }),
});
