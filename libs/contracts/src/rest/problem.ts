// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';

/** RFC 9457 problem document; `code` is stable and matched by programs, `hint` says what to do. */
export const problemSchema = z
  .object({
    type: z.string().describe('urn:secondsite:problem:<code>'),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    code: z.string(),
    hint: z.string(),
    retryable: z.boolean(),
    context: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
    /** Every fault of an invalid request: where and why. */
    faults: z.array(z.object({ path: z.string(), reason: z.string() })).optional(),
    traceId: z.string().optional(),
  })
  .meta({ id: 'Problem' });
export type Problem = z.infer<typeof problemSchema>;
