// SPDX-License-Identifier: Apache-2.0
import { AdministrationController } from './administration/administration.controller';
import { EnrolmentController } from './enrolment/enrolment.controller';
import { InventoryController } from './inventory/inventory.controller';
import { PlansController } from './protection/plans.controller';
import { RecoveryController } from './recovery/recovery.controller';
import { StatusController } from './status/status.controller';

/** Everything that answers REST requests. */
export const controllers = [InventoryController, EnrolmentController, PlansController, RecoveryController, StatusController, AdministrationController] as const;
