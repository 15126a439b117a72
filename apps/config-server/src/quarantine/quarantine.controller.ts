// SPDX-License-Identifier: Apache-2.0
import { Controller } from '@nestjs/common';
import { restRoutes } from '@secondsite/contracts';
import { Call, Handles, type RouteCall } from '@secondsite/service-kit';
import { QuarantineService } from './quarantine';

@Controller()
export class QuarantineController {
  constructor(private readonly quarantine: QuarantineService) {}

  @Handles(restRoutes.listQuarantine)
  list(@Call() call: RouteCall<typeof restRoutes.listQuarantine>): Promise<unknown> {
    return this.quarantine.list(call.query.of);
  }
}
