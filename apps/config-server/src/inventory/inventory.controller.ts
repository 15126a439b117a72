// SPDX-License-Identifier: Apache-2.0
import { Controller } from '@nestjs/common';
import { restRoutes } from '@secondsite/contracts';
import { Call, Handles, type RouteCall } from '@secondsite/service-kit';
import { adminOrigin } from '../admin-origin';
import { InventoryService } from './inventory';

@Controller()
export class InventoryController {
  constructor(private readonly inventory: InventoryService) {}

  @Handles(restRoutes.addHost)
  addHost(@Call() call: RouteCall<typeof restRoutes.addHost>): Promise<unknown> {
    return this.inventory.addHost(call.body.name, adminOrigin(call));
  }

  @Handles(restRoutes.listHosts)
  async listHosts(@Call() _call: RouteCall<typeof restRoutes.listHosts>): Promise<unknown> {
    return { hosts: await this.inventory.listHosts() };
  }

  @Handles(restRoutes.changeHost)
  changeHost(@Call() call: RouteCall<typeof restRoutes.changeHost>): Promise<unknown> {
    return this.inventory.changeHost(call.params.host ?? '', { priority: call.body.priority, origin: adminOrigin(call) });
  }

  @Handles(restRoutes.changeComponent)
  changeComponent(@Call() call: RouteCall<typeof restRoutes.changeComponent>): Promise<unknown> {
    return this.inventory.changeComponent(call.params.component ?? '', { bandwidth: call.body.bandwidth ?? undefined, origin: adminOrigin(call) });
  }

  @Handles(restRoutes.listComponents)
  async listComponents(@Call() _call: RouteCall<typeof restRoutes.listComponents>): Promise<unknown> {
    return { components: await this.inventory.listComponents() };
  }

  @Handles(restRoutes.addVolume)
  addVolume(@Call() call: RouteCall<typeof restRoutes.addVolume>): Promise<unknown> {
    const { name, host, tap, sizeBytes } = call.body;
    return this.inventory.addVolume({ name, host, tap, sizeBytes }, { origin: adminOrigin(call), waitSeconds: call.query.waitSeconds });
  }

  @Handles(restRoutes.listVolumes)
  async listVolumes(@Call() _call: RouteCall<typeof restRoutes.listVolumes>): Promise<unknown> {
    return { volumes: await this.inventory.listVolumes() };
  }

  @Handles(restRoutes.getVolume)
  getVolume(@Call() call: RouteCall<typeof restRoutes.getVolume>): Promise<unknown> {
    return this.inventory.getVolume(call.params.volume ?? '');
  }

  @Handles(restRoutes.setVolumeHooks)
  setVolumeHooks(@Call() call: RouteCall<typeof restRoutes.setVolumeHooks>): Promise<unknown> {
    return this.inventory.setVolumeHooks(call.params.volume ?? '', call.body.hooks, adminOrigin(call));
  }

  @Handles(restRoutes.removeVolume)
  removeVolume(@Call() call: RouteCall<typeof restRoutes.removeVolume>): Promise<void> {
    return this.inventory.removeVolume(call.params.volume ?? '', adminOrigin(call));
  }
}
