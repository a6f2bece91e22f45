import { z } from 'zod';
import { optionsSchema } from '../context/options.js';
import { commandOptionsSchema } from '../request/command-options.js';
import { parseWith } from '../request/describe.js';
import { textToImageSchema } from '../request/txt2img.js';
import { DEFAULT_FOLDER } from './options.js';

const onOff = () => z.boolean().describe('true or false').default(false);

/** What each setting may be, by field: the rule of the place where it is used. */
const RULES: Readonly<Record<string, z.ZodType>> = {
  ...optionsSchema.shape,
  ...textToImageSchema.shape,
  ...commandOptionsSchema.shape,
  output: z.string().min(1).describe('a file, a folder or -').default(`${DEFAULT_FOLDER}/`),
  quiet: onOff(),
  noTrail: onOff(),
  noSheet: onOff(),
  show: onOff(),
  extension: z.array(z.string().min(1)).describe('files').optional(),
};

function ruleOf(field: string): z.ZodType {
  const rule = Object.hasOwn(RULES, field) ? RULES[field] : undefined;
  if (rule === undefined) throw new TypeError(`the setting ${field} has no rule`);
  return rule;
}

/** A value for one setting, checked. @throws UsageError naming `name` */
export function checkSetting(field: string, value: unknown, name: string): unknown {
  return parseWith(z.object({ [field]: ruleOf(field) }), { [field]: value }, () => name)[field];
}

/** The default of a setting; undefined where something else decides. */
export function settingDefault(field: string): unknown {
  const found = ruleOf(field).safeParse(undefined);
  return found.success ? found.data : undefined;
}
