// SPDX-License-Identifier: Apache-2.0
import { Controller } from '@nestjs/common';
import { restRoutes } from '@secondsite/contracts';
import { Call, Handles, type RouteCall } from '@secondsite/service-kit';
import { adminOrigin } from '../admin-origin';
import { ResyncService } from './resyncs';

@Controller()
export class ResyncsController {
  constructor(private readonly resyncs: ResyncService) {}

  @Handles(restRoutes.requestResync)
  request(@Call() call: RouteCall<typeof restRoutes.requestResync>): Promise<unknown> {
    return this.resyncs.request(call.params.volume ?? '', adminOrigin(call));
  }
}
