// SPDX-License-Identifier: Apache-2.0
import { AdministrationController } from './administration/administration.controller';
import { ComponentEventsController } from './component-events/component-events.controller';
import { EnrolmentController } from './enrolment/enrolment.controller';
import { InventoryController } from './inventory/inventory.controller';
import { TelemetryController } from './live/telemetry.controller';
import { TargetMovesController } from './moves/target-moves.controller';
import { PlansController } from './protection/plans.controller';
import { QuarantineController } from './quarantine/quarantine.controller';
import { RecoveryController } from './recovery/recovery.controller';
import { RetentionController } from './recovery/retention.controller';
import { ResyncsController } from './resync/resyncs.controller';
import { ScrubsController } from './scrub/scrubs.controller';
import { StatusController } from './status/status.controller';

/** Everything that answers REST requests. */
export const restControllers = [
  InventoryController, EnrolmentController, PlansController, RecoveryController, RetentionController, ResyncsController, StatusController,
  QuarantineController, ScrubsController, AdministrationController, TargetMovesController,
] as const;

/** Everything that hears from the bus. */
export const busControllers = [ComponentEventsController, TelemetryController] as const;
