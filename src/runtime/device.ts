import type { ResolvedDevice } from '../context/runtime-context.js';
import type { Capabilities, DeviceInfo, Precision } from '../native/types.js';
import { UsageError } from '../request/errors.js';
import { DEVICE_NAMES, PRECISION_NAMES } from '../request/limits.js';
import { didYouMean } from '../request/nearest.js';
import { showValue } from '../request/show-value.js';

/** What "auto" tries, best first. */
const PREFERRED_DEVICES = ['cuda', 'cpu', 'reference'] as const;

function findDevice(asked: string, devices: readonly DeviceInfo[]): DeviceInfo {
  const here = devices.map((device) => device.name).join(', ');
  if (asked === 'auto') {
    const best = PREFERRED_DEVICES.map((name) => devices.find((device) => device.name === name)).find(Boolean);
    if (best === undefined) throw new UsageError('this build has no device', 'device');
    return best;
  }
  const found = devices.find((device) => device.name === asked);
  if (found !== undefined) return found;
  const names: readonly string[] = DEVICE_NAMES;
  if (names.includes(asked)) {
    throw new UsageError(`device ${asked} is known, but not built into this sdgen; built: ${here}`, 'device');
  }
  throw new UsageError(
    `device must be one of ${names.join(', ')}; ${showValue(asked)} is not${didYouMean(asked, names)}`,
    'device',
  );
}

/** What "auto" tries, fastest first: a device lists a precision only where its hardware multiplies it. */
const PREFERRED_PRECISIONS = ['fp16', 'bf16', 'fp32'] as const;

function findPrecision(asked: string, device: DeviceInfo): Precision {
  const here = device.precisions.join(', ');
  if (asked === 'auto') {
    const best = PREFERRED_PRECISIONS.find((precision) => device.precisions.includes(precision));
    if (best === undefined) throw new UsageError(`device ${device.name} has no precision`, 'precision');
    return best;
  }
  const found = device.precisions.find((precision) => precision === asked);
  if (found !== undefined) return found;
  const names: readonly string[] = PRECISION_NAMES;
  if (names.includes(asked)) {
    const isLacking = asked === 'bf16' && device.missing !== '';
    const why = isLacking ? device.missing : `is known, but not built for device ${device.name}`;
    throw new UsageError(`precision ${asked} ${why}; ${isLacking ? 'to be had' : 'built'}: ${here}`, 'precision');
  }
  throw new UsageError(
    `precision must be one of ${names.join(', ')}; ${showValue(asked)} is not${didYouMean(asked, names)}`,
    'precision',
  );
}

/**
 * What a run computes on. "auto" takes the best device of this build, and the fastest precision that it multiplies in
 * hardware.
 * @throws UsageError for unknown names and for known ones that this build lacks; never another device instead
 */
export function resolveDevice(
  asked: { readonly device: string; readonly precision: string },
  capabilities: Capabilities,
): ResolvedDevice {
  const device = findDevice(asked.device, capabilities.devices);
  const precision = findPrecision(asked.precision, device);
  return Object.freeze({ name: device.name, precision, description: device.description, isa: device.isa });
}
