// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { idSchema } from './scalars';

const absolutePath = z.string().regex(/^\/[^\0]{0,1023}$/, 'an absolute path on the protected host');
const plainWord = z.string().regex(/^[A-Za-z0-9_.-]{1,63}$/, 'letters, digits, dot, dash and underscore');
/** For each of freeze and thaw, where a hook does not say it. */
export const hookSecondsMaxDefault = 10;
const timeLimit = { secondsMax: z.int().min(1).max(600).optional().describe(`for each of freeze and thaw; absent: ${hookSecondsMaxDefault} s`) };

/**
 * What stands still while a volume is cut. No hook has room for a password: databases are reached through a socket as a user of the host, or
 * by a file on the host that holds the password.
 */
export const freezeHookSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('fsfreeze'), mountPoint: absolutePath, ...timeLimit }),
  z.object({
    kind: z.literal('postgresql'), socketFolder: absolutePath, port: z.int().min(1).max(65_535).default(5432), user: plainWord.default('postgres'),
    database: plainWord.default('postgres'), osUser: plainWord.optional().describe('user of the host under which psql runs, for peer authentication; absent: the agent\'s'), ...timeLimit,
  }),
  z.object({ kind: z.literal('mysql'), defaultsFile: absolutePath.describe('option file of the mysql client: socket, user, password'), ...timeLimit }),
  z.object({ kind: z.literal('guest-agent'), socket: absolutePath.describe("unix socket of the machine's QEMU guest agent"), ...timeLimit }),
  z.object({ kind: z.literal('script'), file: absolutePath.describe('run with the argument freeze, then thaw'), ...timeLimit }),
]);
export type FreezeHook = z.infer<typeof freezeHookSchema>;

/** The level that a hook serves. */
export const levelOfHook = Object.freeze({
  fsfreeze: 'file-system', 'guest-agent': 'file-system', postgresql: 'application', mysql: 'application', script: 'application',
} as const satisfies Record<FreezeHook['kind'], FrozenLevel>);

export const frozenLevelSchema = z.enum(['file-system', 'application']);
export type FrozenLevel = z.infer<typeof frozenLevelSchema>;

export const freezeHooksSchema = z.array(freezeHookSchema).max(16);

/** One step of one hook, as it is told in events: never what a program printed. */
export const hookResultSchema = z.object({
  volumeId: idSchema,
  hook: z.enum(['fsfreeze', 'postgresql', 'mysql', 'guest-agent', 'script']),
  step: z.enum(['freeze', 'thaw']),
  outcome: z.enum(['done', 'failed', 'too-slow']),
  millis: z.number().nonnegative(),
  reason: z.string().max(200).optional().describe('of a failure'),
});
export type HookResult = z.infer<typeof hookResultSchema>;
