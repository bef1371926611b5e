/* Every figure can be saved as it is seen: SVG, or PNG at twice its size. */
const LOOK = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "opacity", "font-size", "font-family", "font-weight", "text-anchor", "visibility"];

function standalone(svg) {
  const copy = svg.cloneNode(true), box = svg.viewBox.baseVal, margin = 12;
  const nodes = [...svg.querySelectorAll("*")], copies = [...copy.querySelectorAll("*")];
  nodes.forEach((node, i) => {
    const look = getComputedStyle(node);
    for (const name of LOOK) copies[i].style[name] = look[name];
  });
  const paper = document.createElementNS(NAMESPACE, "rect");
  const frame = { x: -margin, y: -margin, width: box.width + 2 * margin, height: box.height + 2 * margin };
  for (const [key, value] of Object.entries({ ...frame, fill: getComputedStyle(document.body).backgroundColor })) paper.setAttribute(key, value);
  copy.prepend(paper);
  copy.setAttribute("viewBox", [frame.x, frame.y, frame.width, frame.height].join(" "));
  copy.setAttribute("width", frame.width);
  copy.setAttribute("height", frame.height);
  return { text: new XMLSerializer().serializeToString(copy), ...frame };
}

function download(name, address) {
  const link = document.createElement("a");
  link.download = name;
  link.href = address;
  link.click();
}

function save(svg, kind) {
  const name = data.experiment + "-" + svg.id + "." + kind, picture = standalone(svg);
  const address = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(picture.text);
  if (kind === "svg") return download(name, address);
  const image = new Image();
  image.onload = () => {
    const board = document.createElement("canvas");
    board.width = 2 * picture.width;
    board.height = 2 * picture.height;
    board.getContext("2d").drawImage(image, 0, 0, board.width, board.height);
    download(name, board.toDataURL("image/png"));
  };
  image.src = address;
}

for (const caption of document.querySelectorAll("figcaption"))
  for (const kind of ["svg", "png"]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = kind.toUpperCase();
    button.onclick = () => save(caption.parentElement.querySelector("svg"), kind);
    caption.append(button);
  }
