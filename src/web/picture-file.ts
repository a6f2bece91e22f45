/** Pictures that a person gives to the page. */

/** What pictures a browser can show, of those that the server reads. */
export const PICTURE_TYPES = 'image/png,image/jpeg,image/webp,image/avif,image/gif,image/bmp';

/** A file's bytes as a data URL. */
function dataUrlOf(file: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(new Error('the file cannot be read'));
    reader.readAsDataURL(file);
  });
}

/** A data URL's picture, decoded. @throws Error in words for a person */
export async function imageOf(source: string): Promise<HTMLImageElement> {
  const image = new Image();
  image.src = source;
  try {
    await image.decode();
  } catch {
    throw new Error('this is no picture that the browser can show');
  }
  return image;
}

export interface GivenPicture {
  readonly source: string;
  readonly width: number;
  readonly height: number;
}

/** @throws Error in words for a person */
export async function readPictureFile(file: Blob): Promise<GivenPicture> {
  return readPictureSource(await dataUrlOf(file));
}

/** As `readPictureFile`, of a data URL. */
export async function readPictureSource(source: string): Promise<GivenPicture> {
  const { naturalWidth: width, naturalHeight: height } = await imageOf(source);
  return { source, width, height };
}

const isPicture = ({ type }: File): boolean => type.startsWith('image/');

/** Gives every picture that is pasted, or dropped anywhere on the page; text goes where it is pasted. */
export function listenForPictures(onPicture: (file: File) => void): () => void {
  const onPaste = (event: ClipboardEvent): void => {
    const file = [...(event.clipboardData?.files ?? [])].find(isPicture);
    if (file === undefined) return;
    event.preventDefault();
    onPicture(file);
  };
  // Without this the browser would leave the page and open the file.
  const onDragOver = (event: DragEvent): void => {
    if (event.dataTransfer?.types.includes('Files')) event.preventDefault();
  };
  const onDrop = (event: DragEvent): void => {
    const [file] = event.dataTransfer?.files ?? [];
    if (file === undefined) return;
    event.preventDefault();
    onPicture(file);
  };
  document.addEventListener('paste', onPaste);
  document.addEventListener('dragover', onDragOver);
  document.addEventListener('drop', onDrop);
  return () => {
    document.removeEventListener('paste', onPaste);
    document.removeEventListener('dragover', onDragOver);
    document.removeEventListener('drop', onDrop);
  };
}
