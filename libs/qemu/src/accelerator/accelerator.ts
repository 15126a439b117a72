// SPDX-License-Identifier: Apache-2.0
/** How QEMU runs the guest's processor: `tcg` works everywhere; `kvm` only where a probe has shown it. */
export type Accelerator = 'tcg' | 'kvm';
