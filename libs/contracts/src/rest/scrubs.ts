// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineRoute } from './route';

export const scrubVolume = defineRoute({
  operationId: 'scrubVolume', method: 'POST', path: '/v1/volumes/{volume}/scrub', tag: 'protection', access: 'admin', status: 200,
  summary: 'Begin now to read replica and journal of a volume again and to compare them with their checksums; what is damaged is sent again by the source.',
  response: z.object({ pairId: z.string(), volumeName: z.string(), masterTargetId: z.string() }).meta({ id: 'RequestedScrub' }),
});
