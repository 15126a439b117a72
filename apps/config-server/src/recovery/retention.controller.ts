// SPDX-License-Identifier: Apache-2.0
import { Controller } from '@nestjs/common';
import { restRoutes } from '@secondsite/contracts';
import { withWindowOfRules } from '@secondsite/protection';
import { Call, Handles, type RouteCall } from '@secondsite/service-kit';
import { adminOrigin } from '../admin-origin';
import { RetentionService } from './retention';

@Controller()
export class RetentionController {
  constructor(private readonly retention: RetentionService) {}

  @Handles(restRoutes.previewRetention)
  preview(@Call() call: RouteCall<typeof restRoutes.previewRetention>): Promise<unknown> {
    return this.retention.preview(call.params.plan ?? '', withWindowOfRules(call.body.retention));
  }

  @Handles(restRoutes.pinPoint)
  pin(@Call() call: RouteCall<typeof restRoutes.pinPoint>): Promise<unknown> {
    return this.retention.pin(call.params.plan ?? '', { ...call.body, origin: adminOrigin(call) });
  }

  @Handles(restRoutes.unpinPoint)
  unpin(@Call() call: RouteCall<typeof restRoutes.unpinPoint>): Promise<unknown> {
    return this.retention.unpin(call.params.plan ?? '', { pin: call.params.pin ?? '', origin: adminOrigin(call) });
  }
}
