// A page of the web surface: the client without the elements, and one picture.
import { SessionClient } from "/livelayer/js/headless.js";

const video = document.querySelector("video");
const client = new SessionClient();
client.addEventListener("media", () => {
  const { stream } = client.media;
  if (stream !== null && video.srcObject !== stream) video.srcObject = stream;
});
client.retainVideo("viewer", { height: 2160 });
client.open();
