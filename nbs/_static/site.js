// What the pages' text alone cannot do: buttons that copy code, and numbers to the right in tables.
document.addEventListener('DOMContentLoaded', () => {
  for (const box of document.querySelectorAll('div.highlight')) {
    const button = document.createElement('button')
    button.className = 'copy'
    button.textContent = 'Copy'
    button.onclick = async () => {
      await navigator.clipboard.writeText(box.querySelector('pre').innerText)
      button.textContent = 'Copied'
      setTimeout(() => button.textContent = 'Copy', 2000)
    }
    box.append(button)
  }
  for (const table of document.querySelectorAll('table.table, table.dataframe')) {
    const rows = [...table.tBodies[0]?.rows ?? []]
    for (let i = 0; i < (rows[0]?.cells.length ?? 0); i++) {
      const cells = rows.map(o => o.cells[i]).filter(o => o?.innerText.trim())
      if (cells.length && cells.every(o => /^([-+]?[\d,]*\.?\d+(e[-+]\d+)?%?(, )?)+$|^NaN$|^inf$/.test(o.innerText.trim())))
        for (const row of table.rows) row.cells[i]?.classList.add('number')
    }
  }
})
