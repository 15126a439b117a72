// SPDX-License-Identifier: Apache-2.0
import type { DynamicModule } from '@nestjs/common';
import { ClusterMember } from '@secondsite/component';
import { DataPlane, type DataPlaneOptions } from './data-plane';

export class DataPlaneModule {
  static with(options: Omit<DataPlaneOptions, 'member'>): DynamicModule {
    const open = (member: ClusterMember): Promise<DataPlane> => DataPlane.open({ ...options, member });
    return { module: DataPlaneModule, providers: [{ provide: DataPlane, inject: [ClusterMember], useFactory: open }], exports: [DataPlane] };
  }
}
