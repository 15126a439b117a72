// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { byteCountSchema, idSchema, isoTimeSchema } from '../scalars';

/** How long change sets stay somewhere now, by the clock of the component: the mean of the last seconds, or the age of the one that waits longest. */
export const staySchema = z.number().nonnegative();

/** What every component says each second, whatever it does. */
export const componentTelemetryShape = {
  componentId: idSchema,
  tenantId: idSchema,
  at: isoTimeSchema.describe('clock of the component when the message was made'),
  version: z.string().max(64).optional(),
  url: z.url().optional().describe('address of its data plane'),
  rssBytes: byteCountSchema.optional(),
  freeBytes: byteCountSchema.optional().describe('free space where it keeps its data'),
};
