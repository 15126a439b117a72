// SPDX-License-Identifier: Apache-2.0
import { Module } from '@nestjs/common';
import { LiveTelemetry } from './control/live-telemetry';
import { PairsController } from './control/pairs.controller';

/** The control of a process server. ClusterMember, MessageBus and the DataPlane that it controls are given by `startComponentService`. */
@Module({ controllers: [PairsController], providers: [LiveTelemetry] })
export class ProcessServerModule {}
