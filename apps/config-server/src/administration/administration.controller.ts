// SPDX-License-Identifier: Apache-2.0
import { Controller } from '@nestjs/common';
import { restRoutes } from '@secondsite/contracts';
import { Call, Handles, type RouteCall } from '@secondsite/service-kit';
import { openApiDocument } from './open-api';
import { ReadModelRebuild } from './rebuild';

@Controller()
export class AdministrationController {
  constructor(private readonly rebuild: ReadModelRebuild) {}

  @Handles(restRoutes.rebuildReadModels)
  rebuildReadModels(@Call() _call: RouteCall<typeof restRoutes.rebuildReadModels>): Promise<unknown> {
    return this.rebuild.run();
  }

  @Handles(restRoutes.getOpenApi)
  openApi(@Call() _call: RouteCall<typeof restRoutes.getOpenApi>): object {
    return openApiDocument();
  }
}
