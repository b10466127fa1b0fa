package app

import (
	"context"
	"slices"

	"github.com/df-middleware/dfm/internal/df"
	"github.com/df-middleware/dfm/internal/ghl"
	"github.com/df-middleware/dfm/internal/legacy"
	original "github.com/df-middleware/dfm/internal/store/legacy"
)

// ImportWish is what an import of the original system's tables is asked for.
type ImportWish struct {
	From df.Secret // URL of the original's database
	legacy.Options
	// Progress is told how far each table is; it may be nil.
	Progress func(table string, read, total int64)
}

// ImportLegacy takes over the original's tables into the database of the
// settings, beside a running program or without one. The report says how far it
// came also when an error comes with it.
func ImportLegacy(ctx context.Context, config Config, options Options, wish ImportWish) (report legacy.Report, err error) {
	source, err := original.Open(ctx, wish.From.Reveal())
	if err != nil {
		return report, err
	}
	defer func() { _ = source.Close(context.WithoutCancel(ctx)) }() // it was only read
	err = withApp(ctx, config, options, func(a *App) error {
		importer, err := a.importer(source)
		if err != nil {
			return err
		}
		importer.Progress = wish.Progress
		report, err = importer.Run(ctx, wish.Options)
		return err
	})
	return report, err
}

func (a *App) importer(source *original.Source) (*legacy.Importer, error) {
	routes, err := a.webhookRoutes()
	if err != nil {
		return nil, err
	}
	keep := a.config.Retention
	importer := &legacy.Importer{
		Store: a.store, Source: source, Recorder: a.consent.recorder, Decode: decoderOf(routes), Said: a.texts.heard,
		Own:    func(p df.Phone) bool { return slices.Contains(a.config.Texting.OwnNumbers, p) },
		Linked: a.linked, Region: a.config.Region, Clock: a.clock, NewID: a.newID,
		Keep: legacy.Keep{Payloads: keep.Payloads, History: keep.History, Records: keep.Records},
	}
	if a.vault != nil {
		importer.Seal = func(location string, access, refresh df.Secret) (string, string, error) {
			sealedAccess, sealedRefresh, err := ghl.SealPair(sealer{a.vault}, location, access, refresh)
			return string(sealedAccess), string(sealedRefresh), err
		}
	}
	return importer, nil
}
