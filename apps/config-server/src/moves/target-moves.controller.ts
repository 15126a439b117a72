// SPDX-License-Identifier: Apache-2.0
import { Controller } from '@nestjs/common';
import { restRoutes } from '@secondsite/contracts';
import { Call, Handles, type RouteCall } from '@secondsite/service-kit';
import { adminOrigin } from '../admin-origin';
import { TargetMoves } from './target-moves';

@Controller()
export class TargetMovesController {
  constructor(private readonly moves: TargetMoves) {}

  @Handles(restRoutes.moveToMasterTarget)
  begin(@Call() call: RouteCall<typeof restRoutes.moveToMasterTarget>): Promise<unknown> {
    return this.moves.begin(call.params.volume ?? '', { masterTarget: call.body.masterTarget, origin: adminOrigin(call) });
  }

  @Handles(restRoutes.cancelTargetMove)
  cancel(@Call() call: RouteCall<typeof restRoutes.cancelTargetMove>): Promise<unknown> {
    return this.moves.cancel(call.params.volume ?? '', adminOrigin(call));
  }
}
