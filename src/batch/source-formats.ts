import { UsageError } from '../request/errors.js';

/** Formats of a batch's file. */
export const SOURCE_FORMATS = ['jsonl', 'csv', 'yaml'] as const;
export type SourceFormat = (typeof SOURCE_FORMATS)[number];

const EXTENSIONS: Readonly<Record<string, SourceFormat>> = {
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.csv': 'csv',
  '.yaml': 'yaml',
  '.yml': 'yaml',
};

/** @throws UsageError for an extension that stands for none */
export function sourceFormat(name: string, extension: string): SourceFormat {
  const format = EXTENSIONS[extension.toLowerCase()];
  if (format !== undefined) return format;
  throw new UsageError(
    `the format of ${name} is not told by its name (.jsonl, .csv, .yaml): give it with --input-format`,
    'inputFormat',
  );
}
