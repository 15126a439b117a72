// SPDX-License-Identifier: Apache-2.0
import { Controller } from '@nestjs/common';
import { restRoutes } from '@secondsite/contracts';
import { Call, Handles, type RouteCall } from '@secondsite/service-kit';
import { ScrubService } from './scrubs';

@Controller()
export class ScrubsController {
  constructor(private readonly scrubs: ScrubService) {}

  @Handles(restRoutes.scrubVolume)
  request(@Call() call: RouteCall<typeof restRoutes.scrubVolume>): Promise<unknown> {
    return this.scrubs.request(call.params.volume ?? '');
  }
}
