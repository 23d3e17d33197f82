//! Pictures that go with a question: read, made no larger than a model looks at, and turned into `data:` URLs.

/** The longer side, in pixels; more than that vision models scale down themselves. */
const SIDE = 2048;
/** A file up to this size that is small enough in pixels goes as it is. */
const AS_IT_IS_BYTES = 1_000_000;
/** So many pictures a question. */
export const IMAGES = 8;

const READABLE = ["image/png", "image/jpeg", "image/webp", "image/gif"];

/** The pictures among what was pasted, dropped or chosen. */
export function imagesIn(transfer) {
  return Array.from(transfer?.files ?? []).filter(({ type }) => type.startsWith("image/"));
}

/**
 * @param {File} file
 * @returns {Promise<string>} a `data:` URL
 * @throws {Error} with a sentence for people
 */
export async function toDataURL(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name || "This picture"} cannot be read as a picture.`);
  }
  try {
    const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
    if (scale === 1 && file.size <= AS_IT_IS_BYTES && READABLE.includes(file.type)) return await read(file);
    const canvas = new OffscreenCanvas(Math.ceil(bitmap.width * scale), Math.ceil(bitmap.height * scale));
    const context = canvas.getContext("2d");
    // JPEG has no transparency: what was clear becomes white, not black.
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return await read(await canvas.convertToBlob({ type: "image/jpeg", quality: 0.85 }));
  } finally {
    bitmap.close();
  }
}

function read(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error("The picture could not be read."));
    reader.readAsDataURL(blob);
  });
}
